"""What to answer to a cancel: pure, from what the record and the hosts say."""

import re
import uuid
from collections.abc import Callable
from typing import Literal

import msgspec

from signalbox.client.results import CancelResult
from signalbox.messages.receipts import Verdict
from signalbox.messages.views import TaskView
from signalbox_api.record.views import KnownTask

#: Celery lets callers choose ids; these are the characters that the ones we accept are made of.
_CUSTOM_ID = re.compile(r"[A-Za-z0-9_.:@-]{1,155}")


class Instead(msgspec.Struct, frozen=True, kw_only=True):
    """A process that would have to be stopped, as nothing less ends the task; named as a stop names it."""

    host: str
    process: str


class CancelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a cancel."""

    #: `success`: it does not run and never will. `accepted`: under way, not proven. `error`: it was not cancelled.
    status: Literal["success", "accepted", "error"]
    message: str
    task_id: str
    command_id: str | None
    #: Somebody saw the process dead, or made sure that the task never starts.
    verified: bool = False
    #: The record shows it.
    recorded: bool = False
    #: What else the hosts say, in words.
    detail: str = ""
    #: What can be done in its place, where this could not.
    instead: Instead | None = None


class Decision(msgspec.Struct, frozen=True):
    """An answer with its HTTP status."""

    http: int
    answer: CancelAnswer


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """All that the api knows of a cancel."""

    task_id: str
    known: KnownTask | None
    #: Whether the record could be asked; when not, `known` says nothing.
    record_up: bool
    #: The task's host, as the record has it, has a controller that listens.
    host_present: bool = True
    #: Seconds after its cancel for which a task is refused.
    refused_for: float = 604800.0

    @property
    def task(self) -> TaskView | None:
        """The task, as the record has it."""
        return self.known.task if self.known else None


def is_uuid(text: str) -> bool:
    """Whether it is a UUID in its usual form, as Celery makes them."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def may_be_task_id(text: str) -> bool:
    """Whether it could be the id of a task, so that the record is worth asking."""
    return _CUSTOM_ID.fullmatch(text) is not None


def over(task: TaskView) -> bool:
    """Whether somebody saw it end; what was only inferred may still run."""
    return task.finished_at is not None and task.confirmed


def from_record(case: Case) -> Decision | None:
    """The answer where the record alone can give it; none: the hosts must be asked."""
    return _ended(case) if case.task and over(case.task) else None


def from_hosts(case: Case, result: CancelResult) -> Decision:
    """The answer after the hosts were asked."""
    decide = _BY_VERDICT.get(result.verdict, _unproven) if result.verdict else _unproven
    return decide(case, result)


def _ended(case: Case) -> Decision:
    known = case.known
    if known is None:
        raise AssertionError("only a known task can be known to have ended")
    task = known.task
    answer = CancelAnswer(
        status="error", message="", task_id=case.task_id, command_id=known.cancel_command_id, recorded=True
    )
    if task.outcome == "cancelled":
        message = f"Task {task.name} has been cancelled and marked as failed"
        success = msgspec.structs.replace(answer, status="success", message=message, verified=task.confirmed)
        return Decision(200, success)
    how = f"completed at {task.finished_at:%Y-%m-%d %H:%M:%S} UTC"
    if task.status == "failed":
        how = f"failed: {task.error or task.outcome}"
    message = f"Task {task.name} already finished: {how}"
    return Decision(409, msgspec.structs.replace(answer, message=message, command_id=None))


def _cancelled(case: Case, result: CancelResult) -> Decision:
    title = _title(case, result)
    message = f"{title} has been cancelled and marked as failed"
    if not result.recorded:
        end = "it no longer runs" if result.verdict == "cancelled" else "it will not run"
        when = "follow shortly" if case.record_up else "follow when the database is back"
        message = f"{title} has been cancelled; {end}. The record will {when}"
    return Decision(200, _answer(result, "success", message, verified=True))


def _nobody_has_it(case: Case, result: CancelResult) -> Decision:
    """Every host that listens says that the task is not there, and will refuse it from now on."""
    task = case.task
    refusal = _refusal(case)
    if not case.record_up:
        words = f"No connected worker knows task {case.task_id}, and the record cannot be asked now; {refusal}"
        return Decision(202, _answer(result, "accepted", words))
    if task is None:
        return _error(404, result, f"No task {case.task_id} is known, neither to the record nor to a worker; {refusal}")
    if task.finished_at:
        return _ended(case)
    if reason := _out_of_reach(case, task):
        return Decision(202, _answer(result, "accepted", f"Task {task.name} is {reason}"))
    if task.status == "pending":
        return _cancelled(case, msgspec.structs.replace(result, verdict="dropped", recorded=False))
    words = f"No worker has task {task.name} any more, although the record shows it as running; the record will follow"
    return Decision(202, _answer(result, "accepted", words))


def _out_of_reach(case: Case, task: TaskView) -> str:
    """Where it is, if nobody can say that it will not run there; empty otherwise."""
    if not case.host_present:
        return f"on {task.host}, which does not answer; the cancel awaits its return"
    if task.host is None and not task.confirmed:
        how = "`signalbox doctor` tells how that worker gets the agent"
        return f"with {task.worker}, which has no agent of Signalbox: nothing proves that it will not run; {how}"
    return ""


def _finished(case: Case, result: CancelResult) -> Decision:
    if case.task and case.task.finished_at:
        return _ended(case)
    return _error(409, result, f"{_title(case, result)} already finished: {result.detail or 'it ended by itself'}")


def _unsupported(case: Case, result: CancelResult) -> Decision:
    why = (result.detail or "its pool cannot kill a single task").rstrip(".")
    words = f"{_title(case, result)} cannot be cancelled: {why}. Stop its process instead"
    return _offering(case, _error(409, result, words))


def _alive(case: Case, result: CancelResult) -> Decision:
    why = (result.detail or "its process is stuck").rstrip(".")
    words = f"{_title(case, result)} was not ended and still runs: {why}. Look at its process, or stop it"
    return _offering(case, _error(502, result, words))


def _offering(case: Case, decision: Decision) -> Decision:
    """The same with the process that would have to be stopped, where the record knows it."""
    task = case.task
    process = (task.worker or "").rpartition("@")[0] if task else ""
    if task is None or not task.host or not process:
        return decision
    answer = msgspec.structs.replace(decision.answer, instead=Instead(host=task.host, process=process))
    return msgspec.structs.replace(decision, answer=answer)


def _refused(case: Case, result: CancelResult) -> Decision:
    return _error(502, result, f"A controller refused to cancel {_title(case, result, 'task')}: {result.detail}")


def _unproven(case: Case, result: CancelResult) -> Decision:
    if case.task and case.task.finished_at:
        return _ended(case)
    if result.verdict is None and not result.silent and case.record_up and case.task is None:
        words = f"No controller is connected, and the record knows no task {case.task_id}; {_refusal(case)}"
        return Decision(202, _answer(result, "accepted", words))
    if result.silent:
        why = f"no answer has come yet from {', '.join(sorted(result.silent))}"
    elif result.verdict is None:
        why = "no controller is connected; each carries it out as soon as it connects, however late that is"
    else:
        why = result.detail or "the worker did not answer in time"
    words = f"The cancel of {_title(case, result, 'task')} is under way and not proven: {why}"
    return Decision(202, _answer(result, "accepted", words))


def _refusal(case: Case) -> str:
    return (
        f"should it turn up from a broker's queue within the next {_period(case.refused_for)}, every worker refuses it"
    )


_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def _period(seconds: float) -> str:
    """In the largest unit that tells it exactly."""
    whole = max(1, round(seconds))
    size, unit = next((size, unit) for size, unit in _UNITS if whole % size == 0)
    count = whole // size
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _title(case: Case, result: CancelResult, word: str = "Task") -> str:
    return f"{word} {case.task.name if case.task else result.task_name or case.task_id}"


def _error(http: int, result: CancelResult, message: str) -> Decision:
    return Decision(http, _answer(result, "error", message))


def _answer(
    result: CancelResult, status: Literal["success", "accepted", "error"], message: str, *, verified: bool = False
) -> CancelAnswer:
    return CancelAnswer(
        status=status,
        message=message,
        task_id=result.task_id,
        command_id=result.command_id,
        verified=verified,
        recorded=result.recorded,
        detail=result.detail,
    )


_BY_VERDICT: dict[Verdict, Callable[[Case, CancelResult], Decision]] = {
    "cancelled": _cancelled,
    "dropped": _cancelled,
    "unknown": _nobody_has_it,
    "finished": _finished,
    "unsupported": _unsupported,
    "alive": _alive,
    "refused": _refused,
}
