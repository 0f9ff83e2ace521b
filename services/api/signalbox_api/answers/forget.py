"""Answer to a request to forget hosts, and its sentence: pure."""

from collections.abc import Sequence

import msgspec

from signalbox.client.results import ForgetResult
from signalbox.messages.verdicts import AnswerStatus


class ForgetAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of forgetting hosts."""

    #: `success`: the record has forgotten them. `accepted`: it does so as soon as it can.
    status: AnswerStatus
    message: str
    hosts: Sequence[str]
    command_id: str


def outcome(result: ForgetResult) -> tuple[int, ForgetAnswer]:
    """The HTTP status and the answer."""
    one = len(result.hosts) == 1
    subject = f"{'Host' if one else 'Hosts'} {', '.join(result.hosts)}"
    http, words = 200, f"{subject} {'has' if one else 'have'} been forgotten"
    status: AnswerStatus = "success"
    if result.verdict is None:
        http, status, words = 202, "accepted", f"{subject} will be forgotten as soon as the record can be written"
    elif result.verdict != "forgotten":
        http, status, words = 409, "error", f"Nothing was forgotten: {result.detail or 'the record refused it'}"
    return http, ForgetAnswer(status=status, message=words, hosts=result.hosts, command_id=result.command_id)
