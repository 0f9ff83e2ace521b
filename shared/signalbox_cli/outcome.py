"""What came of each cancel, in the form that `--json` prints."""

from collections.abc import Mapping
from typing import Any

import msgspec


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the cancel of one task."""

    task_id: str
    #: `success`: proven dead. `accepted`: under way, not proven yet. `error`: refused or failed.
    status: str
    message: str
    #: What the server answers, or would answer, to the cancel of this task alone.
    http_status: int
    command_id: str | None = None
    verified: bool = False
    #: Of one task of many: in a word.
    outcome: str | None = None


#: How the outcome of one task of many reads for a single one; what is missing was refused, or failed.
_OF_MANY: Mapping[str, tuple[str, int]] = {
    "cancelled": ("success", 200),
    "dropped": ("success", 200),
    "unproven": ("accepted", 202),
    "unknown": ("error", 404),
    "finished": ("error", 409),
    "unsupported": ("error", 409),
    "invalid": ("error", 422),
}


def outcome_of_one(task_id: str, http_status: int, body: Mapping[str, Any]) -> Outcome:
    """Out of the answer to a single cancel."""
    return Outcome(
        task_id=task_id,
        status=str(body.get("status", "error")),
        message=str(body.get("message", "")),
        http_status=http_status,
        command_id=body.get("command_id"),
        verified=bool(body.get("verified")),
    )


def outcomes_of_many(answer: Mapping[str, Any]) -> list[Outcome]:
    """Out of the answer to a cancel of many, in the order of their ids."""
    (command_id,) = answer["command_ids"] or [None]
    return [_of_many(task, command_id) for task in answer["tasks"]]


def _of_many(task: Mapping[str, Any], command_id: str | None) -> Outcome:
    status, http_status = _OF_MANY.get(task["outcome"], ("error", 502))
    return Outcome(
        task_id=task["task_id"],
        status=status,
        message=task["message"],
        http_status=http_status,
        command_id=command_id,
        verified=status == "success",
        outcome=task["outcome"],
    )
