"""Local host: the backend of `--local`, which asks the controller of this host through its own socket."""

import os
import re
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import msgspec

from signalbox.client.bulk import task_by_task
from signalbox.errors import ControllerUnreachable, NotProven
from signalbox.local.ask import ask
from signalbox.local.protocol import Applied, ApplyConfiguration, NotDone, Reply, Request, ShowStatus
from signalbox.messages.base import utc_now
from signalbox.messages.commands import (
    AnyCommand,
    CancelTask,
    CancelTasks,
    Command,
    RestartProcesses,
    StartProcesses,
    StopProcesses,
)
from signalbox.messages.events import HostSeen
from signalbox.messages.ids import from_address_part
from signalbox.messages.receipts import Answered
from signalbox.messages.verdicts import MEANING, counted
from signalbox_cli.api.http import Query
from signalbox_cli.errors import Refused, Unreachable

#: The command for each address of the api.
_COMMANDS: Mapping[str, type[Command]] = {
    "/scheduler/cancel-tasks/": CancelTasks,
    "/scheduler/stop-celery/": StopProcesses,
    "/scheduler/start-celery/": StartProcesses,
    "/scheduler/restart-celery/": RestartProcesses,
}
_CANCEL = re.compile(r"/scheduler/cancel-task/(?P<task_id>[^/]+)/")
_STATUS = "/scheduler/celery-status/"
#: Seconds after which a command that the controller has not begun is refused.
_TTL = timedelta(seconds=60)
#: Seconds for the answer to a question.
_AT_ONCE = 5.0


class LocalHost:
    """Backend that answers as the api does, for this host alone."""

    def __init__(self) -> None:
        self._data = Path(os.environ.get("SIGNALBOX_DATA") or ".signalbox")

    def get(self, path: str, _query: Mapping[str, Query | None] | None = None) -> dict[str, Any]:
        if path != _STATUS:
            raise Refused("Only the api can tell that; leave --local out.")
        status = self._ask(ShowStatus(), _AT_ONCE)
        if not isinstance(status, HostSeen):
            raise Refused("The controller did not say how it is; is it of another version?")
        proof = {"proof": status.proof, "proof_detail": status.proof_detail}
        host = {"name": status.host, "state": "online", **proof, "processes": _rows(status.processes)}
        return {"hosts": [host]}

    def post(self, path: str, body: dict[str, Any], *, wait: float = 0.0) -> tuple[int, dict[str, Any]]:
        if "filter" in body:
            raise Refused("Only the api knows which tasks match; name them by their ids, or leave --local out.")
        if body.get("dry_run"):
            raise Refused("Only the api can count what a cancel would hit; leave --dry-run or --local out.")
        command = _command(path, body)
        try:
            answer = self._ask(command, wait)
        except NotProven as error:
            if isinstance(command, CancelTasks):
                none_yet = Answered(command_id=command.command_id, at=utc_now(), verdict="unproven", detail=f"{error}.")
                return 202, _bulk_body(command, none_yet)
            return 202, {"status": "accepted", "message": f"{error}.", "command_id": command.command_id}
        if not isinstance(answer, Answered):
            raise Refused("The controller gave no answer to that; is it of another version?")
        return 200, _bulk_body(command, answer) if isinstance(command, CancelTasks) else _body(answer)

    def follow(
        self, path: str, body: dict[str, Any], _on_progress: Callable[[int, int], None], *, wait: float = 0.0
    ) -> tuple[int, dict[str, Any]]:
        return self.post(path, body, wait=wait)  # the controller reports no progress

    def apply(self, request: ApplyConfiguration, wait: float) -> Applied:
        """Have the controller read its configuration again.

        Raises:
            Refused: the file makes no sense, or not all of it was done in time.
        """
        try:
            reply = self._ask(request, wait or _AT_ONCE)
        except NotProven as error:
            raise Refused(f"{error}; `signalbox status --local` shows how far it is.") from error
        if not isinstance(reply, Applied):
            raise Refused("The controller gave no answer to that; is it of another version?")
        return reply

    def _ask(self, request: Request, wait: float) -> Reply:
        try:
            reply = ask(self._data, request, wait)
        except ControllerUnreachable as error:
            raise Unreachable(f"{error}.") from error
        if isinstance(reply, NotDone):
            raise Refused(reply.message)
        return reply


def _command(path: str, body: dict[str, Any]) -> AnyCommand:
    now = utc_now()
    # Who asks is for the controller to say, which knows it from the kernel.
    heading = {"command_id": str(uuid.uuid4()), "issued_by": "", "issued_at": now, "expires_at": now + _TTL}
    given = {name: value for name, value in body.items() if value is not None}
    if cancel := _CANCEL.fullmatch(path):
        return msgspec.convert({**given, **heading, "task_id": from_address_part(cancel["task_id"])}, CancelTask)
    return cast("AnyCommand", msgspec.convert({**given, **heading}, _COMMANDS[path]))


def _body(answer: Answered) -> dict[str, Any]:
    body = {
        "status": "success",
        "message": answer.detail,
        "command_id": answer.command_id,
        "verified": True,
        "proof": answer.proof,
        "recorded": False,
        "tasks_killed": answer.tasks_killed,
        "processes": _rows(answer.processes),
    }
    sentence = MEANING[answer.verdict].on_host
    if not sentence:
        message = answer.detail or f"{answer.host} answers: {answer.verdict}"
        raise Refused(message, body=body | {"status": "error", "message": message, "verified": False})
    one = answer.tasks_killed == 1
    count = f"{answer.tasks_killed} running task{'' if one else 's'}"
    task = answer.task_name or answer.task_id
    said = sentence.format(host=answer.host, count=count, task=task)
    return body | {"message": f"{said} {answer.detail}".strip()}


def _bulk_body(command: CancelTasks, answer: Answered) -> dict[str, Any]:
    """The answer of this host in the form of the api's."""
    tasks = task_by_task(dict.fromkeys(command.task_ids), [answer], complete=True)
    counts = Counter(task.verdict for task in tasks)
    done, silent, absent = counts["cancelled"] + counts["dropped"], counts["unproven"], counts["unknown"]
    open_status = "accepted" if silent else "error"
    parts = [f"{done:,} of {len(tasks):,} tasks have been cancelled"]
    parts += [counted(silent, "unproven")] if silent else []
    parts += [f"{absent:,} not on {answer.host}, which refuses them from now on"] if absent else []
    return {
        "status": "success" if done == len(tasks) else open_status,
        "message": "; ".join(parts),
        "command_ids": [answer.command_id],
        "counts": dict(counts),
        "tasks": [
            {
                "task_id": task.task_id,
                "name": task.task_name,
                "outcome": task.verdict,
                "message": task.detail,
                "proof": task.proof,
            }
            for task in tasks
        ],
    }


def _rows(processes: object) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = msgspec.to_builtins(processes)
    return rows
