"""Answer to the release of a cancelled id, and its sentence: pure."""

import msgspec

from signalbox.client.results import AllowResult
from signalbox.messages.verdicts import AnswerStatus


class AllowAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of a release."""

    #: `success`: every host that reads commands runs the id again. `accepted`: some have not answered yet.
    status: AnswerStatus
    message: str
    task_id: str
    command_id: str
    #: The record shows it.
    recorded: bool = False


def outcome(name: str, result: AllowResult) -> tuple[int, AllowAnswer]:
    """The HTTP status and the answer; `name` is the task's, or its id."""
    http, words = 200, f"Task {name} may run again"
    status: AnswerStatus = "success"
    if not result.allowed:
        http, status, words = 502, "error", f"A controller refused to let task {name} run again: {result.detail}"
    elif result.silent:
        hosts = ", ".join(sorted(result.silent))
        http, status, words = 202, "accepted", f"{words}; no answer has come yet from {hosts}"
    return http, AllowAnswer(
        status=status, message=words, task_id=result.task_id, command_id=result.command_id, recorded=result.recorded
    )
