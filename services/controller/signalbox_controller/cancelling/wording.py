"""Wording of the detail of a cancel, which people read beside its verdict: pure."""

from collections.abc import Callable
from typing import NamedTuple

from signalbox.messages.verdicts import Verdict
from signalbox_agent.cancel.pool import Abilities
from signalbox_controller.agents.protocol import CancelReport
from signalbox_controller.cancelling.proof import Proof


class WorkerAnswer(NamedTuple):
    """The answer of one worker to a cancel, and the proof of it."""

    #: The worker's name, and that of its pool.
    name: str
    pool: str
    abilities: Abilities
    result: Verdict
    report: CancelReport | None = None
    proof: Proof | None = None


def detail_of(answer: WorkerAnswer) -> str:
    """A sentence; empty when the verdict says it all."""
    sentence = _SENTENCES.get(answer.result)
    return sentence(answer) if sentence else ""


def _alive(answer: WorkerAnswer) -> str:
    report, left = answer.report, answer.proof.survivors if answer.proof else []
    if report and report.shared and not left:
        return f"It goes on in {answer.name} whatever is thrown into it; only stopping the whole process ends it."
    pids = [proc.pid for proc in left] or ([report.pid] if report and report.pid else [])
    return f"Pid {', '.join(map(str, pids)) or 'unknown'} of {answer.name} outlived KILL."


def _unproven(answer: WorkerAnswer) -> str:
    if answer.abilities.takes_turns:
        return (
            f"{answer.name} does not answer: in a {answer.pool} pool"
            " a task that never waits keeps all else from running."
        )
    return f"{answer.name} did not answer in time."


def _unsupported(answer: WorkerAnswer) -> str:
    return f"The pool of {answer.name} ({answer.pool}) cannot end a single task."


def _finished(answer: WorkerAnswer) -> str:
    return f"It ended by itself ({(answer.report.status if answer.report else None) or 'how is not known'})."


def _cancelled(answer: WorkerAnswer) -> str:
    if answer.proof and answer.proof.ended:
        return f"{len(answer.proof.ended)} processes that it had left behind were ended with it."
    report = answer.report
    if report is None or report.detail:
        return (report.detail if report else None) or ""
    return "TERM did not end it in time; it was killed." if report.signal == "KILL" else ""


_SENTENCES: dict[Verdict, Callable[[WorkerAnswer], str]] = {
    "alive": _alive,
    "unproven": _unproven,
    "unsupported": _unsupported,
    "finished": _finished,
    "cancelled": _cancelled,
}
