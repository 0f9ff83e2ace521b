"""What was measured, as people read it: on the terminal, and in docs/reliability.md."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from support.faults.course import LAG, Result

#: The lines of the document between which the table stands.
BEGIN, END = "<!-- measured -->", "<!-- end -->"
_COLUMNS = ("fault", "what is seen meanwhile", "rounds", "tasks", "cancels", "lies", "true again after", "green after")
_HEAD = f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}\n"


def table(results: Sequence[Result]) -> str:
    """A line for each fault, in the order in which they were tried."""
    by_fault: dict[str, list[Result]] = {}
    for result in results:
        by_fault.setdefault(result.fault.name, []).append(result)
    return _HEAD + "".join(_row(rounds) for rounds in by_fault.values())


def write(document: Path, results: Sequence[Result]) -> None:
    """Put the table into the document, in the place of the one before."""
    before, _, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    document.write_text(f"{before}{BEGIN}\n\n{table(results)}\n{END}{after}", encoding="utf-8")


def _row(rounds: Sequence[Result]) -> str:
    fault = rounds[0].fault
    tasks, cancels = sum(one.tasks for one in rounds), sum(one.cancels for one in rounds)
    found = sum(len(one.lies) for one in rounds)
    true, green = [one.true_after for one in rounds], [one.green_after for one in rounds]
    name = fault.name if fault.once else f"{fault.name} for {fault.lasts:g} s"
    columns = (name, fault.seen, len(rounds), tasks, cancels, found)
    return f"| {' | '.join(map(str, [*columns, _times(true), _times(green)]))} |\n"


def _times(seconds: Sequence[float]) -> str:
    """The median, and the longest where there are several."""
    if max(seconds) < LAG:
        return f"< {LAG:g} s"
    most = f" (at most {max(seconds):.1f})" if len(seconds) > 1 else ""
    return f"{statistics.median(seconds):.1f} s{most}"
