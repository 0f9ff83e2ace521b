"""A result turned into a return value or an error, so that callers need not look at verdicts."""

from signalbox.client.results import CancelResult
from signalbox.errors import CannotCancel, CommandError, NotProven, StillAlive, TaskAlreadyFinished, UnknownTask
from signalbox.messages.receipts import Verdict

_ERRORS: dict[Verdict, type[CommandError]] = {
    "unknown": UnknownTask,
    "finished": TaskAlreadyFinished,
    "unsupported": CannotCancel,
    "alive": StillAlive,
}


def succeed_or_raise(result: CancelResult) -> CancelResult:
    """The result of a proven cancel; anything else as the error that it is.

    Raises:
        UnknownTask: no worker knows the task; all of them will refuse it should it arrive.
        TaskAlreadyFinished: it ended by itself.
        CannotCancel: its pool cannot kill a single task.
        StillAlive: it outlived SIGKILL.
        NotProven: no proof came within the wait; the cancel may still succeed.
    """
    if result.verified:
        return result
    if result.verdict in _ERRORS:
        raise _ERRORS[result.verdict](f"task {result.task_id}: {result.detail or result.verdict}")
    raise NotProven(f"task {result.task_id}: {_why_unproven(result)}; the cancel is still under way")


def _why_unproven(result: CancelResult) -> str:
    if result.detail:
        return result.detail
    if result.silent:
        return f"no answer yet from {', '.join(sorted(result.silent))}"
    return "no controller has answered; is one running?"
