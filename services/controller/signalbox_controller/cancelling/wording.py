"""What a person should know of a cancel beyond its verdict: pure."""

from collections.abc import Callable
from typing import NamedTuple

from signalbox_controller.agents.cancel_request import Finding
from signalbox_controller.agents.protocol import CancelReport
from signalbox_controller.cancelling.proof import Proof

#: Pools whose tasks take turns in one thread, the agent among them.
TAKING_TURNS = frozenset({"gevent", "eventlet"})


class Told(NamedTuple):
    """What is known of one worker's part in it."""

    #: The worker's name, and that of its pool.
    name: str
    pool: str
    finding: Finding
    report: CancelReport | None = None
    proof: Proof | None = None


def in_words(told: Told) -> str:
    """A sentence, or nothing."""
    word = _WORDS.get(told.finding)
    return word(told) if word else ""


def _alive(told: Told) -> str:
    report, left = told.report, told.proof.survivors if told.proof else []
    if report and report.shared and not left:
        return f"It goes on in {told.name} whatever is thrown into it; only stopping the whole process ends it."
    pids = [proc.pid for proc in left] or ([report.pid] if report and report.pid else [])
    return f"Pid {', '.join(map(str, pids)) or 'unknown'} of {told.name} outlived KILL."


def _silent(told: Told) -> str:
    if told.pool in TAKING_TURNS:
        return (
            f"{told.name} does not answer: in a {told.pool} pool a task that never waits keeps all else from running."
        )
    return f"{told.name} did not answer in time."


def _unsupported(told: Told) -> str:
    return f"The pool of {told.name} ({told.pool}) cannot end a single task."


def _finished(told: Told) -> str:
    return f"It ended by itself ({(told.report.status if told.report else None) or 'how is not known'})."


def _dead(told: Told) -> str:
    if told.proof and told.proof.ended:
        return f"{len(told.proof.ended)} processes that it had left behind were ended with it."
    return (told.report.detail if told.report else None) or ""


_WORDS: dict[Finding, Callable[[Told], str]] = {
    "alive": _alive,
    "silent": _silent,
    "unsupported": _unsupported,
    "finished": _finished,
    "dead": _dead,
}
