"""Answer to a cancel of one task, and its sentence: pure, from what the record and the hosts say."""

import uuid
from collections.abc import Callable

import msgspec

from signalbox.client.results import CancelResult
from signalbox.messages.base import Evidence
from signalbox.messages.verdicts import CANCELLED, MEANING, AnswerStatus, CancelVerdict, Verdict
from signalbox.messages.views import TaskView
from signalbox_api.answers.processes import when
from signalbox_api.record.views import KnownTask

#: Verdicts that say of a task that it runs no more.
SETTLED = CANCELLED | {"finished"}


class Instead(msgspec.Struct, frozen=True, kw_only=True):
    """Process to stop where nothing less ends the task; named as a stop names it."""

    host: str
    process: str


class CancelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of a cancel."""

    #: `success`: it does not run and never will. `accepted`: under way, not proven. `error`: it was not cancelled.
    status: AnswerStatus
    message: str
    task_id: str
    command_id: str | None
    #: Somebody saw the process dead, or made sure that the task never starts.
    verified: bool = False
    #: What proves that nothing of the task is left: the kernel (`cgroup`), or a `search`, which does not find what has
    #: left the task's family; none where nothing had to be ended.
    proof: Evidence | None = None
    #: The record shows the outcome.
    recorded: bool = False
    #: Further words of the hosts.
    detail: str = ""
    #: What can be stopped in place of the task.
    instead: Instead | None = None


class Decision(msgspec.Struct, frozen=True):
    """Decision on a cancel: its outcome, and the answer to its caller."""

    outcome: CancelVerdict
    answer: CancelAnswer

    @property
    def http(self) -> int:
        """The HTTP status."""
        return MEANING[self.outcome].http_status

    def under(self, task_id: str) -> "Decision":
        """The same under the id that the caller gave."""
        return Decision(self.outcome, msgspec.structs.replace(self.answer, task_id=task_id))


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Case of a cancel: the task, and what the record knows of it."""

    #: The key of its id.
    task_id: str
    known: KnownTask | None
    #: Whether the record could be read; otherwise `known` means nothing.
    record_up: bool
    #: The part that the record waits for, such as `the database`; empty when it waits for none.
    awaited: str = ""
    #: Whether the controller of the task's host reads commands.
    host_present: bool = True
    #: Hosts that run it as well, according to the record, and do not read commands.
    away: frozenset[str] = frozenset()
    #: Seconds after its cancel for which a task is refused.
    refused_for: float = 604800.0

    @property
    def task(self) -> TaskView | None:
        """The task in the record."""
        return self.known.task if self.known else None


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID in its usual form, as Celery makes them."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def over(task: TaskView) -> bool:
    """Whether a task was seen to end; one whose end was inferred may still run."""
    return task.finished_at is not None and task.confirmed


def from_record(case: Case) -> Decision | None:
    """The decision where the record alone gives it; None: the hosts must be asked."""
    return _ended(case) if case.known and over(case.known.task) and not case.known.unsure else None


def from_hosts(case: Case, result: CancelResult) -> Decision:
    """The decision after the hosts have answered, or their time is over."""
    if case.away and result.verdict in SETTLED:
        words = f"{_title(case, result)} also runs on {', '.join(sorted(case.away))}, which does not answer"
        return _decision("unproven", result, f"{words}; the cancel awaits its return")
    decide = _DECIDE.get(result.verdict, _unproven) if result.verdict else _unproven
    return decide(case, result)


def _ended(case: Case, verdict: Verdict | None = None) -> Decision:
    known = case.known
    if known is None:
        raise AssertionError("only a known task can be known to have ended")
    task = known.task
    answer = CancelAnswer(
        status="error", message="", task_id=case.task_id, command_id=known.cancel_command_id, recorded=True
    )
    if task.outcome == "cancelled":
        message = f"Task {task.name} has been cancelled and marked as failed"
        success = msgspec.structs.replace(
            answer, status="success", message=message, verified=task.confirmed, proof=task.proof
        )
        ran = task.started_at is not None or verdict == "cancelled"
        return Decision("cancelled" if ran else "dropped", success)
    how = f"completed at {task.finished_at:%Y-%m-%d %H:%M:%S} UTC"
    if task.status == "failed":
        how = f"failed: {task.error or task.outcome}"
    message = f"Task {task.name} already finished: {how}"
    return Decision("finished", msgspec.structs.replace(answer, message=message, command_id=None))


def _cancelled(case: Case, result: CancelResult) -> Decision:
    title = _title(case, result)
    message = f"{title} has been cancelled and marked as failed"
    if not result.recorded:
        end = "it no longer runs" if result.verdict == "cancelled" else "it will not run"
        message = f"{title} has been cancelled; {end}. The record will follow {when(case.awaited)}"
    ran = result.verdict == "cancelled" or (case.task is not None and case.task.started_at is not None)
    return _decision("cancelled" if ran else "dropped", result, message)


def _unknown(case: Case, result: CancelResult) -> Decision:
    """The task is on no host that answered, and each refuses it from now on."""
    task = case.task
    refusal = _refusal(case)
    if not case.record_up or (task is None and case.awaited):
        why = f"waits for {case.awaited}" if case.record_up else "cannot be asked now"
        words = f"No connected worker knows task {case.task_id}, and the record {why}; {refusal}"
        return _decision("unproven", result, words)
    if task is None:
        words = f"No task {case.task_id} is known, neither to the record nor to a worker; {refusal}"
        return _decision("unknown", result, words)
    if task.finished_at:
        return _ended(case, result.verdict)
    if reason := _out_of_reach(case, task):
        return _decision("unproven", result, f"Task {task.name} is {reason}")
    if task.status == "pending":
        return _cancelled(case, msgspec.structs.replace(result, verdict="dropped", recorded=False))
    words = (
        f"No worker has task {task.name} any more, although the record shows it as running;"
        f" the record will follow {when(case.awaited)}"
    )
    return _decision("unproven", result, words)


def _out_of_reach(case: Case, task: TaskView) -> str:
    """Where the task may run although no host has it; empty if it cannot."""
    if not case.host_present:
        return f"on {task.host}, which does not answer; the cancel awaits its return"
    if task.host is None and not task.confirmed:
        how = "`signalbox doctor` tells how that worker gets the agent"
        return f"with {task.worker}, which has no agent of Signalbox: nothing proves that it will not run; {how}"
    return ""


def _finished(case: Case, result: CancelResult) -> Decision:
    if case.task and case.task.finished_at:
        return _ended(case, result.verdict)
    words = f"{_title(case, result)} already finished: {result.detail or 'it ended by itself'}"
    return _decision("finished", result, words)


def _unsupported(case: Case, result: CancelResult) -> Decision:
    why = (result.detail or "its pool cannot kill a single task").rstrip(".")
    words = f"{_title(case, result)} cannot be cancelled: {why}. Stop its process instead"
    return _offering(case, _decision("unsupported", result, words))


def _alive(case: Case, result: CancelResult) -> Decision:
    why = (result.detail or "its process is stuck").rstrip(".")
    words = f"{_title(case, result)} was not ended and still runs: {why}. Look at its process, or stop it"
    return _offering(case, _decision("alive", result, words))


def _offering(case: Case, decision: Decision) -> Decision:
    """The decision with the process to stop instead, where the record knows it."""
    task = case.task
    process = (task.worker or "").rpartition("@")[0] if task else ""
    if task is None or not task.host or not process:
        return decision
    answer = msgspec.structs.replace(decision.answer, instead=Instead(host=task.host, process=process))
    return msgspec.structs.replace(decision, answer=answer)


def _refused(case: Case, result: CancelResult) -> Decision:
    words = f"A controller refused to cancel {_title(case, result, 'task')}: {result.detail}"
    return _decision("refused", result, words)


def _unproven(case: Case, result: CancelResult) -> Decision:
    if case.task and case.task.finished_at:
        return _ended(case, result.verdict)
    if result.verdict is None and not result.silent and case.record_up and case.task is None:
        words = f"No controller is connected, and the record knows no task {case.task_id}; {_refusal(case)}"
        return _decision("unproven", result, words)
    if result.silent:
        why = f"no answer has come yet from {', '.join(sorted(result.silent))}"
    elif result.verdict is None:
        why = "no controller is connected; each carries it out as soon as it connects, however late that is"
    else:
        why = result.detail or "the worker did not answer in time"
    words = f"The cancel of {_title(case, result, 'task')} is under way and not proven: {why}"
    return _decision("unproven", result, words)


def _refusal(case: Case) -> str:
    return (
        f"should it turn up from a broker's queue within the next {_period(case.refused_for)}, every worker refuses it"
    )


_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def _period(seconds: float) -> str:
    """Seconds in the largest unit of which they are a whole number."""
    whole = max(1, round(seconds))
    size, unit = next((size, unit) for size, unit in _UNITS if whole % size == 0)
    count = whole // size
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _title(case: Case, result: CancelResult, word: str = "Task") -> str:
    return f"{word} {case.task.name if case.task else result.task_name or case.task_id}"


def _decision(outcome: CancelVerdict, result: CancelResult, message: str) -> Decision:
    status = MEANING[outcome].status
    answer = CancelAnswer(
        status=status,
        message=message,
        task_id=result.task_id,
        command_id=result.command_id,
        verified=status == "success",
        proof=result.proof if status == "success" else None,
        recorded=result.recorded,
        detail=result.detail,
    )
    return Decision(outcome, answer)


_DECIDE: dict[Verdict, Callable[[Case, CancelResult], Decision]] = {
    "cancelled": _cancelled,
    "dropped": _cancelled,
    "unknown": _unknown,
    "finished": _finished,
    "unsupported": _unsupported,
    "alive": _alive,
    "refused": _refused,
}
