"""Outcome of each cancel, in the form that `--json` prints."""

from collections.abc import Mapping
from typing import Any

import msgspec

from signalbox.messages.verdicts import MEANING


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of the cancel of one task."""

    task_id: str
    #: `success`: proven dead. `accepted`: under way, not proven yet. `error`: refused or failed.
    status: str
    message: str
    #: The status that the cancel of this task alone gets.
    http_status: int
    command_id: str | None = None
    verified: bool = False
    #: What proves that nothing of the task is left: `cgroup` or `search`; none where nothing had to be ended.
    proof: str | None = None
    #: The verdict, of one task of many.
    outcome: str | None = None


#: The HTTP status of a text that is no task id.
_INVALID = 422
#: The HTTP status of a verdict that this version does not know.
_FAILED = 502


def outcome_of_one(task_id: str, http_status: int, body: Mapping[str, Any]) -> Outcome:
    """The outcome in the answer to a single cancel."""
    return Outcome(
        task_id=task_id,
        status=str(body.get("status", "error")),
        message=str(body.get("message", "")),
        http_status=http_status,
        command_id=body.get("command_id"),
        verified=bool(body.get("verified")),
        proof=body.get("proof"),
    )


def outcomes_of_many(answer: Mapping[str, Any]) -> list[Outcome]:
    """The outcomes in the answer to a cancel of many, in the order of their ids."""
    (command_id,) = answer["command_ids"] or [None]
    return [_of_many(task, command_id) for task in answer["tasks"]]


def _of_many(task: Mapping[str, Any], command_id: str | None) -> Outcome:
    meaning = MEANING.get(task["outcome"])
    status = meaning.status if meaning else "error"
    http_status = meaning.http_status if meaning else _INVALID if task["outcome"] == "invalid" else _FAILED
    return Outcome(
        task_id=task["task_id"],
        status=status,
        message=task["message"],
        http_status=http_status,
        command_id=command_id,
        verified=status == "success",
        proof=task.get("proof"),
        outcome=task["outcome"],
    )
