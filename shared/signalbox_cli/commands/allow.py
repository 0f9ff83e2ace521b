"""`signalbox allow`: lets ids run again that were cancelled."""

from typing import Any

import click

from signalbox.messages.ids import address_part
from signalbox_cli.errors import Refused
from signalbox_cli.options import Backend, connected, show_json
from signalbox_cli.output.table import say

#: Seconds that the server waits for the hosts by default.
_WAIT = 10.0


@click.command()
@click.argument("task_ids", nargs=-1, metavar="ID...", required=True)
@click.option("--reason", metavar="TEXT", help="Why, for the audit trail.")
@connected
def allow(backend: Backend, *, as_json: bool, task_ids: tuple[str, ...], reason: str | None) -> None:
    """Let tasks with these IDs run again, although they were cancelled.

    For applications that use an id again: once it was cancelled every delivery of it is refused. Nothing is sent or
    started by this.
    """
    answers = [_allow(backend, task_id, reason) for task_id in dict.fromkeys(task_ids)]
    if as_json:
        show_json(answers)
    for answer in answers:
        if answer["status"] == "error":
            say(answer["message"], err=True)
        elif not as_json:
            say(answer["message"])
    if any(answer["status"] == "error" for answer in answers):
        raise click.exceptions.Exit(1)


def _allow(backend: Backend, task_id: str, reason: str | None) -> dict[str, Any]:
    try:
        _, answer = backend.post(f"/scheduler/tasks/{address_part(task_id)}/allow/", {"reason": reason}, wait=_WAIT)
    except Refused as error:
        return {"status": "error", "message": error.message, "task_id": task_id}
    return answer
