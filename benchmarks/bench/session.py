"""Session of one part: what it may use, and how it is described."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from bench.options import Options
from bench.rows import Measurements, Row


@dataclass(frozen=True)
class Session:
    """What a part may use."""

    options: Options
    #: Empty when the part begins, and removed after it.
    folder: Path
    #: The interpreter of the environment with Flower; None: Signalbox is measured alone.
    flower: Path | None
    #: Takes a line about what is being done.
    say: Callable[[str], None]


Measure = Callable[[Session, Measurements], Awaitable[None]]


@dataclass(frozen=True)
class Part:
    """One subject."""

    name: str
    #: Its heading in the report, and in the help.
    what: str
    #: How it is measured, in a few sentences.
    method: str
    rows: tuple[Row, ...]
    measure: Measure
    #: Seconds after which it is ended; what it has measured until then is reported.
    deadline: float
    needs_flower: bool = True
