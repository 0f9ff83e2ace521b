"""Report of a run: tables, the machine, the versions, and the methods."""

from collections.abc import Mapping, Sequence

from bench.options import Options
from bench.runner import Outcome
from bench.systems.flower import VERSION
from bench.table import number, table

_INTRODUCTION = f"""\
# Benchmarks

Made by `make bench`, which measures Signalbox and Flower {VERSION} in turns, on one machine, with the same broker
(Valkey or Redis) and the same load. A figure is the median of the rounds, with the smallest and the largest in
brackets. "ratio" is Signalbox' figure divided by Flower's, in the same round where both have rounds; "worse" says that
Flower's figure is the better one. Absolute figures belong to this machine, ratios travel further. "–" was not measured.
"""


def document(outcomes: Sequence[Outcome], options: Options, machine: Mapping[str, str], load: float) -> str:
    """The whole report, in Markdown. `load` is what wanted the cores before the run began."""
    sections = [_INTRODUCTION, _machine(machine, load), _sizes(options)]
    return "\n".join([*sections, *map(section, outcomes)])


def section(outcome: Outcome) -> str:
    """The section of one part."""
    part = outcome.part
    lines = [f"## {part.what}", "", part.method, "", table(outcome.measurements), ""]
    if outcome.reason:
        lines += [f"This part ended early: {outcome.reason}.", ""]
    if outcome.without_flower:
        lines += [f"Flower was not measured: {outcome.without_flower}.", ""]
    return "\n".join(lines)


def _machine(machine: Mapping[str, str], load: float) -> str:
    facts = {**machine, "load before the run": number(load)}
    return "\n".join(
        ["## Machine", "", "| | |", "|---|---|", *(f"| {name} | {it} |" for name, it in facts.items()), ""]
    )


def _sizes(options: Options) -> str:
    sizes = {
        "rounds": options.rounds,
        "cancels in a round": options.cancels,
        "empty tasks in a round": options.tasks,
        "events of a burst": options.burst,
        "tasks a second, paced": options.rate,
        "seconds of a steady load": options.seconds,
        "tasks in the record": options.rows,
        "times that each list is asked": options.asks,
        "viewers": options.viewers,
        "changes a second": options.changes,
        "hosts": options.hosts,
        "tasks in flight": options.flight,
    }
    return f"Sizes of this run: {', '.join(f'{what} {size:,}' for what, size in sizes.items())}.\n"
