"""Runner of the parts: each has a folder and a deadline of its own, and one that fails does not end the others."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchmarkError
from bench.options import Options
from bench.rows import Measurements, verdict
from bench.session import Part, Session
from bench.systems.flower import install
from signalbox_local.errors import LocalError

Say = Callable[[str], None]

#: Characters.
LONGEST_REASON = 240


@dataclass(frozen=True)
class Outcome:
    """A part after its run."""

    part: Part
    measurements: Measurements
    seconds: float
    #: Why it ended before everything was measured; empty: it did not.
    reason: str = ""
    #: Why Flower was not measured, although it was to be; empty: it was.
    without_flower: str = ""


async def run(options: Options, parts: Sequence[Part], folder: Path, say: Say) -> list[Outcome]:
    """Run the parts one after the other, in folders below this one."""
    end = time.monotonic() + options.minutes * 60
    flower, why = await _flower(options, parts, folder, say)
    outcomes = []
    for number, part in enumerate(parts, 1):
        left = end - time.monotonic()
        say(f"[{number}/{len(parts)}] {part.name}: {part.what}")
        (place := folder / part.name).mkdir()
        session = Session(options, place, flower, lambda line: say(f"      {line}"))
        outcome = await run_part(part, session, min(part.deadline, left), why if part.needs_flower else "")
        outcomes.append(outcome)
        say(f"      {summary(outcome)}")
    return outcomes


async def run_part(part: Part, session: Session, within: float, without_flower: str = "") -> Outcome:
    """Run one part for so many seconds at most; what goes wrong is told by the outcome."""
    measurements, reason = Measurements(part.rows), ""
    if within <= 0:
        return Outcome(part, measurements, 0.0, "no time was left for it", without_flower)
    began = time.monotonic()
    limit = asyncio.timeout(within)
    try:
        async with limit:
            await part.measure(session, measurements)
    except (BenchmarkError, LocalError) as error:
        reason = brief(str(error))
    except Exception as error:  # noqa: BLE001 - the other parts have to be measured, whatever it is
        expired = isinstance(error, TimeoutError) and limit.expired()
        reason = f"not done within {within:.0f} s" if expired else brief(f"{type(error).__name__}: {error}")
    return Outcome(part, measurements, time.monotonic() - began, reason, without_flower)


def brief(text: str) -> str:
    """A reason in a line: the first sentence, and the last line of the log where there is one."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()] or ["no reason given"]
    first = lines[0].partition("; the last lines of ")[0]
    whole = f"{first}: {lines[-1]}" if len(lines) > 1 else first
    return whole if len(whole) <= LONGEST_REASON else f"{whole[: LONGEST_REASON - 1]}…"


def summary(outcome: Outcome) -> str:
    """The outcome in a line."""
    verdicts = [verdict(row, outcome.measurements.of(row)) for row in outcome.part.rows]
    counts = [f"{verdicts.count(word)} {word}" for word in ("reached", "missed", "not measured") if word in verdicts]
    told = f"{', '.join(counts) or 'measured'}, in {outcome.seconds:.0f} s"
    return f"{told}; ended early: {outcome.reason}" if outcome.reason else told


async def _flower(options: Options, parts: Sequence[Part], folder: Path, say: Say) -> tuple[Path | None, str]:
    """The interpreter with Flower; without one, why there is none."""
    if not any(part.needs_flower for part in parts):
        return None, ""
    if not options.flower:
        return None, "not asked for"
    say("Flower is installed into a temporary environment")
    try:
        return await install(folder / "flower-environment"), ""
    except BenchmarkError as error:
        say(f"Flower cannot be installed: {error}")
        return None, brief(str(error))
