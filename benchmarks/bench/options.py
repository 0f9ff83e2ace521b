"""Options of a run: which parts, how often, and how large."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

EPILOG = """\
examples:
  make bench                                       everything, in less than 20 minutes on 2 cores
  make bench ARGS='--rows 1000000'                 the short form
  make bench ARGS='--only cancel,intake --rounds 2'
  make bench ARGS='--only lists --rows 200000 --without-flower --write -'
"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """A run. Every count is at least 1."""

    #: Parts that are run, in the order of the report.
    only: tuple[str, ...]
    #: Where the report goes; None: only to the terminal.
    write: Path | None
    flower: bool
    #: Minutes after which no part is begun, and those that run are ended.
    minutes: float
    #: How often each side is measured.
    rounds: int
    #: Cancels in a round.
    cancels: int
    #: Empty tasks in a round of the throughput.
    tasks: int
    #: Events of a burst, three for each task.
    burst: int
    #: Tasks a second of the paced load.
    rate: int
    #: Seconds of each measurement that lasts a while: paced load, viewers, idle.
    seconds: float
    #: Tasks in the record.
    rows: int
    #: Times that each list is asked.
    asks: int
    #: Browsers that watch, and changes a second that they are sent.
    viewers: int
    changes: int
    #: Tasks a day of the churn.
    churn: int
    #: Hosts, and tasks in flight, of the growth; a tenth of each comes first.
    hosts: int
    flight: int


#: Default, and what it is.
_COUNTS: dict[str, tuple[int, str]] = {
    "rounds": (3, "how often each side is measured"),
    "cancels": (40, "cancels in a round"),
    "tasks": (3000, "empty tasks in a round of the throughput"),
    "burst": (300_000, "events of a burst, three for each task"),
    "rate": (300, "tasks a second of the paced load"),
    "rows": (10_000_000, "tasks in the record; 1000000 for the short form"),
    "asks": (100, "times that each list is asked"),
    "viewers": (1000, "browsers that watch"),
    "changes": (300, "changes a second that they are sent"),
    "churn": (1500, "tasks a day of the churn, which lasts 90 days"),
    "hosts": (1000, "hosts of the growth"),
    "flight": (1000, "tasks in flight of the growth"),
}


def parse(arguments: Sequence[str], parts: Sequence[tuple[str, str]], report: Path) -> Options:
    """Read the command line; `parts` are names and descriptions, `report` is where the report goes by default.

    Exits with 2 and a sentence where it makes no sense.
    """
    names = [name for name, _ in parts]
    width = max(map(len, names))
    listed = "\n".join(f"  {name:{width}}  {what}" for name, what in parts)
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=…",
        description="Measure Signalbox and Flower in turns, on the same broker under the same load.\n\n"
        f"parts:\n{listed}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--only", type=_names(names), default=tuple(names), metavar="A,B", help="only these parts")
    parser.add_argument("--without-flower", dest="flower", action="store_false", help="measure Signalbox alone")
    parser.add_argument(
        "--write", type=_target, default=report, metavar="FILE", help="the report; - for none (docs/benchmarks.md)"
    )
    parser.add_argument("--minutes", type=_positive, default=19.0, metavar="N", help="limit of the whole run (19)")
    parser.add_argument(
        "--seconds",
        type=_positive,
        default=10.0,
        metavar="N",
        help="paced load, viewers and idleness last so long (10)",
    )
    for name, (default, what) in _COUNTS.items():
        parser.add_argument(f"--{name}", type=_count, default=default, metavar="N", help=f"{what} ({default:,})")
    given = vars(parser.parse_args(arguments))
    return Options(**{field.name: given[field.name] for field in fields(Options)})


def _names(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        wanted = [name.strip() for name in text.split(",") if name.strip()]
        if not wanted or (unknown := sorted(set(wanted) - set(known))):
            what = f"there is no part {', '.join(unknown)}" if wanted else "no part is named"
            raise argparse.ArgumentTypeError(f"{what}; there are: {', '.join(known)}")
        return tuple(name for name in known if name in wanted)

    return read


def _target(text: str) -> Path | None:
    return None if text == "-" else Path(text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value
