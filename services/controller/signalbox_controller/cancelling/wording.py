"""Wording of the detail of a cancel, which people read beside its verdict: pure."""

from typing import NamedTuple

from signalbox.messages.base import Evidence
from signalbox.messages.verdicts import Verdict
from signalbox_agent.cancel.pool import Abilities
from signalbox_controller.agents.protocol import CancelReport
from signalbox_controller.cancelling.proof import Proof

#: What a proof by a search leaves open.
SEARCHED = "Processes that left the task's family cannot be found on this host."
#: What no proof covers where tasks share the worker's process.
SHARED = "Programs that it had started are not covered, as its pool runs all tasks in one process."


def limits_of(evidence: Evidence | None, *, shared: bool) -> str:
    """The sentence that says what a proof does not cover; empty when it covers all, or nothing was to be proven."""
    if shared:
        return SHARED
    return SEARCHED if evidence == "search" else ""


class WorkerAnswer(NamedTuple):
    """The answer of one worker to a cancel, and the proof of it."""

    #: The worker's name, and that of its pool.
    name: str
    pool: str
    abilities: Abilities
    result: Verdict
    report: CancelReport | None = None
    proof: Proof | None = None


def detail_of(answer: WorkerAnswer) -> str:  # noqa: PLR0911 - one for each verdict
    """A sentence; empty when the verdict says it all."""
    name, pool, report = answer.name, answer.pool, answer.report
    match answer.result:
        case "alive":
            return _alive(answer)
        case "unproven" if answer.abilities.takes_turns:
            return f"{name} does not answer: in a {pool} pool a task that never waits keeps all else from running."
        case "unproven":
            return f"{name} did not answer in time."
        case "unsupported":
            return (report and report.detail) or f"The pool of {name} ({pool}) cannot end a single task."
        case "finished":
            return f"It ended by itself ({(report and report.status) or 'how is not known'})."
        case "cancelled":
            return _cancelled(answer)
        case _:
            return ""


def _cancelled(answer: WorkerAnswer) -> str:
    report, proof, how = answer.report, answer.proof, ""
    if proof and proof.ended:
        how = f"{len(proof.ended)} processes that it had left behind were ended with it."
    elif report:
        how = report.detail or ("TERM did not end it in time; it was killed." if report.signal == "KILL" else "")
    limits = limits_of(proof.evidence if proof else "search", shared=report is not None and report.shared)
    return " ".join(filter(None, (how, limits)))


def _alive(answer: WorkerAnswer) -> str:
    report, left = answer.report, answer.proof.survivors if answer.proof else []
    if report and report.shared and not left:
        return f"It goes on in {answer.name} whatever is thrown into it; only stopping the whole process ends it."
    pids = [proc.pid for proc in left] or ([report.pid] if report and report.pid else [])
    return f"Pid {', '.join(map(str, pids)) or 'unknown'} of {answer.name} outlived KILL."
