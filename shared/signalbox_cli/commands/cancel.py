"""`signalbox cancel`: ends tasks, and prints the outcome of each."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from signalbox.messages.ids import address_part
from signalbox_cli.commands.cancel_many import Selection, cancel_selected
from signalbox_cli.errors import Refused
from signalbox_cli.options import Backend, connected_or_local, show_json, with_options
from signalbox_cli.output.age import AGE
from signalbox_cli.output.outcome import outcome_of_one
from signalbox_cli.output.spinner import spinner
from signalbox_cli.output.table import say

#: Seconds that the server waits for the proof by default.
_WAIT = 10.0

_FILTER = (
    click.option("--status", type=click.Choice(("pending", "running")), help="Tasks of this status; by default both."),
    click.option("--name", metavar="NAME", help="Tasks of this name, or of this full name."),
    click.option("--host", metavar="HOST", help="Tasks on this host."),
    click.option("--queue", metavar="QUEUE", help="Tasks out of this queue."),
    click.option("--match", "q", metavar="TEXT", help="Tasks that `signalbox tasks --q` finds."),
    click.option("--older-than", type=AGE, metavar="AGE", help="Tasks older than this: 90s, 15m, 2h, 1d."),
)
_CONDITIONS = ("status", "name", "host", "queue", "q", "older_than")


def _checked(command: Callable[..., None]) -> Callable[..., None]:
    """Refuse a command line that says twice or not at all which tasks, before any server is called."""

    @wraps(command)
    def run(*, task_ids: tuple[str, ...], **arguments: object) -> None:
        if bool(task_ids) == any(arguments[name] is not None for name in _CONDITIONS):
            raise click.UsageError("Name the tasks by their IDs, or say which by --status, --name and so on; not both.")
        command(task_ids=task_ids, **arguments)

    return run


@click.command()
@click.argument("task_ids", nargs=-1, metavar="[ID]...")
@with_options(*_FILTER)
@click.option("--limit", type=click.IntRange(1, 10_000), metavar="N", help="Of what matches, the newest N (10,000).")
@click.option("--dry-run", is_flag=True, help="Only count what matches now.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@click.option("--reason", metavar="TEXT", help="Why, for the audit trail.")
@click.option("--grace", type=click.FloatRange(0, 60), metavar="SECONDS", help="From TERM to KILL; else the worker's.")
@click.option("--wait", type=click.FloatRange(0, 600), metavar="SECONDS", help="How long to wait for proof (10, 30).")
@_checked
@connected_or_local
def cancel(
    backend: Backend,
    *,
    as_json: bool,
    task_ids: tuple[str, ...],
    reason: str | None,
    grace: float | None,
    wait: float | None,
    limit: int | None,
    dry_run: bool,
    yes: bool,
    **filters: str | float | None,
) -> None:
    """Cancel tasks and wait for the proof that they are dead: those with these IDs, or all that match.

    What matches is counted and shown first, and you are asked, unless there is --yes or --json.

    With several tasks each has an outcome of its own, and the exit code is 0 only when all of them were cancelled; one
    that matched and finished meanwhile is no failure. A cancel that is accepted and not proven within --wait counts as
    failed, unless --wait is 0.
    """
    ids = list(dict.fromkeys(task_ids))
    conditions = {name: value for name, value in filters.items() if value is not None}
    body = {"reason": reason, "wait": wait, "grace": grace}
    if len(ids) == 1 and not dry_run:
        _cancel_one(backend, ids[0], body, as_json=as_json)
        return
    selection = Selection(ids=ids, filter=conditions, body={**body, "limit": limit})
    confirm = bool(conditions) and not (yes or as_json)
    cancel_selected(backend, selection, as_json=as_json, dry_run=dry_run, confirm=confirm)


def _cancel_one(backend: Backend, task_id: str, body: dict[str, Any], *, as_json: bool) -> None:
    path, wait = f"/scheduler/cancel-task/{address_part(task_id)}/", body["wait"]
    try:
        with spinner("waiting for proof"):
            status, answer = backend.post(path, body, wait=_WAIT if wait is None else wait)
    except Refused as error:
        status, answer = error.status, {**error.body, "message": error.message}
    outcome = outcome_of_one(task_id, status, answer)
    good = outcome.status in ({"success", "accepted"} if wait == 0 else {"success"})
    if as_json:
        show_json([outcome])
    if not good:
        say(outcome.message, err=True)
        raise click.exceptions.Exit(1)
    if not as_json:
        say(outcome.message)
