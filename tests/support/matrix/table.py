"""The matrix as people read it."""

from collections.abc import Sequence

from support.matrix.cells import RETRY, SHARING, Cell

INTRODUCTION = """\
# What a cancel does, cell by cell

Written by `make matrix`, which tries every cell for real: a whole Signalbox, one worker of each pool, tasks that write
down themselves what becomes of them. It fails where the answer or the record says something else than the diary of the
task and the process table. A selection runs with the tests.

The workers have `kill_after = 1.0`: KILL, or the repeated exit of a greenlet, follows one second after the first try.
"Answer" is the HTTP status of `POST /scheduler/cancel-task/<task_id>/` with `wait` 9 s; "after" is the time until it
came, on a machine that was busy with all the other cells.

- **200**: cancelled and verified.
- **202**: the cancel holds, and its proof is still to come; in the end the record has the truth.
- **404**: neither the record nor a worker knows the id; the cancel holds all the same, it is refused when it arrives.
  Every worker of the host is asked: where one is kept busy by another cell and does not answer, it is 202.
- **409**: this pool cannot end a single task, which runs on until it ends, or its process is stopped; or it had ended.
- **502**: it goes on whatever is thrown into it, until its process is stopped.
"""
_COLUMNS = ("pool", "state", "stubbornness", "answer", "after", "the record says", "what happened")
_HEAD = f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}\n"


def written(cells: Sequence[Cell]) -> str:
    """All of it."""
    brokers = dict.fromkeys(cell.broker for cell in cells)
    return INTRODUCTION + "".join(
        f"\n## {broker}\n\n{_HEAD}" + "".join(map(_row, (cell for cell in cells if cell.broker == broker)))
        for broker in brokers
    )


def _row(cell: Cell) -> str:
    record = f"{cell.row.get('status', 'nothing')}, {cell.row.get('outcome') or 'no outcome'}"
    columns = (cell.pool, cell.state, cell.kind.words, cell.http, f"{cell.took:.2f} s", record, _happened(cell))
    return f"| {' | '.join(map(str, columns))} |\n"


def _happened(cell: Cell) -> str:
    if not cell.starts:
        return "never ran"
    if cell.completed:
        return "ran to its end"
    if cell.state == RETRY:
        return "was not tried again"
    gone = "its greenlet is dead" if cell.pool in SHARING else "its process is gone"
    if not cell.pids("program"):
        return gone
    return f"{gone}; its program runs on, and is named" if cell.alive_then else f"{gone}, and so is its program"
