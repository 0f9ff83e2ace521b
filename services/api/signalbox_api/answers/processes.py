"""Answer to a stop, a start or a restart, and its sentence: pure, from the results of the hosts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from signalbox.client.results import ProcessesResult
from signalbox.messages.base import Evidence
from signalbox.messages.receipts import ProcessReport
from signalbox.messages.verdicts import MEANING, AnswerStatus, Verdict

Verb = Literal["stop", "start", "restart"]

_DONE: dict[Verb, str] = {"stop": "stopped", "start": "started", "restart": "restarted"}

#: The verdict of the hosts when it is done.
_VERDICT: dict[Verb, Verdict] = {"stop": "stopped", "start": "started", "restart": "started"}


class ProcessesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of a stop, a start or a restart."""

    #: `success`: every process was seen to be as asked. `accepted`: under way. `error`: some are not as asked.
    status: AnswerStatus
    message: str
    command_id: str
    verified: bool
    #: Of a stop, what proves that nothing is left: `search` where that covers no process that left its task's family.
    proof: Evidence | None
    recorded: bool
    #: How many running tasks ended with their processes.
    tasks_killed: int
    processes: Sequence[ProcessReport]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The request, as far as the wording of the answer depends on it."""

    verb: Verb
    #: Only some hosts or processes.
    chosen: bool
    #: The part that the record waits for, such as `the database`; empty when it waits for none.
    awaited: str = ""

    @property
    def subject(self) -> str:
        """The beginning of a sentence about it."""
        return "The chosen processes have" if self.chosen else "Celery has"


def outcome(order: Order, result: ProcessesResult) -> tuple[int, ProcessesAnswer]:
    """The HTTP status and the answer."""
    done = _VERDICT[order.verb]
    verdict = result.verdict or "unproven"
    if verdict != done and verdict not in _UNDONE:
        verdict = "incomplete"
    words = _success if verdict == done else _UNDONE[verdict]
    status = MEANING[verdict].status
    return MEANING[verdict].http_status, ProcessesAnswer(
        status=status,
        message=words(order, result),
        command_id=result.command_id,
        verified=status == "success",
        proof=result.proof,
        recorded=result.recorded,
        tasks_killed=result.tasks_killed,
        processes=result.processes,
    )


def _success(order: Order, result: ProcessesResult) -> str:
    parts = [f"{order.subject} been {_DONE[order.verb]}"]
    if order.verb == "stop" or result.tasks_killed:
        one = result.tasks_killed == 1
        end = f"{'was' if one else 'were'} marked as failed" if result.recorded else "ended with them"
        parts.append(f"{result.tasks_killed} running task{'' if one else 's'} {end}")
    if hosts := sorted({process.host for process in result.processes if process.proof == "search"}):
        parts.append(f"processes that left their tasks' families cannot be found on {', '.join(hosts)}")
    if not result.recorded:
        parts.append(f"the record will follow {when(order.awaited)}")
    return "; ".join(parts)


def when(awaited: str) -> str:
    """When the record follows that waits for a part."""
    return f"when {awaited} is back" if awaited else "shortly"


def _under_way(order: Order, result: ProcessesResult) -> str:
    reasons = []
    if slow := result.silent - result.away:
        reasons.append(f"no answer has come yet from {', '.join(sorted(slow))}")
    if result.away:
        reasons.append(
            f"nothing is heard from {', '.join(sorted(result.away))}: {order.verb} it again when it is back,"
            " unless that is within a minute, when it still carries this out"
        )
    if not reasons and result.verdict is None:
        reasons.append("no controller is connected; one that connects within a minute will carry it out")
    why = "; ".join(reasons) or result.detail or "not everything could be seen in time"
    return f"The {order.verb} is under way and not proven: {why}"


def _failure(order: Order, result: ProcessesResult) -> str:
    goal = "stopped" if order.verb == "stop" else "running"
    others = [_in_words(process) for process in result.processes if process.state != goal and not process.standby]
    why = "; ".join(others) or result.detail or "a controller could not do it"
    return f"Not everything has been {_DONE[order.verb]}: {why}"


def _nowhere(order: Order, _: ProcessesResult) -> str:
    what = "No controller has such a host or process" if order.chosen else "No controller has any process"
    return f"{what} to {order.verb}; GET /scheduler/celery-status/ names them all"


def _refused(order: Order, result: ProcessesResult) -> str:
    return f"A controller refused to {order.verb}: {result.detail}"


#: The sentences for every other verdict.
_UNDONE: Mapping[Verdict, Callable[[Order, ProcessesResult], str]] = {
    "unproven": _under_way,
    "unknown": _nowhere,
    "refused": _refused,
    "incomplete": _failure,
}


def _in_words(process: ProcessReport) -> str:
    place = f" on {process.host}" if process.host else ""
    return f"{process.name}{place} is {process.state}" + (f" ({process.message})" if process.message else "")
