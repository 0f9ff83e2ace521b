"""`signalbox cancel`: end tasks, and say of each what came of it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import click
import msgspec

from signalbox.cli.errors import Refused
from signalbox.cli.options import Asked, connected_or_local, show_json
from signalbox.cli.table import say, table
from signalbox.cli.waiting import waiting

#: Cancels under way at the same time; each holds a connection of the server.
_AT_ONCE = 8


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the cancel of one task."""

    task_id: str
    #: `success`: proven dead. `accepted`: under way, not proven yet. `error`: refused or failed.
    status: str
    message: str
    http_status: int
    command_id: str | None = None
    verified: bool = False


@click.command()
@click.argument("task_ids", nargs=-1, required=True, metavar="ID...")
@click.option("--reason", metavar="TEXT", help="Why, for the audit trail.")
@click.option("--wait", type=click.FloatRange(0, 60), metavar="SECONDS", help="How long to wait for proof (10).")
@connected_or_local
def cancel(api: Asked, *, as_json: bool, task_ids: tuple[str, ...], reason: str | None, wait: float | None) -> None:
    """Cancel tasks and wait for the proof that they are dead.

    With several IDs each has an outcome of its own, and the exit code is 0 only when all succeeded.
    A cancel that is accepted and not proven within --wait counts as failed, unless --wait is 0.
    """
    ids = list(dict.fromkeys(task_ids))
    with waiting("waiting for proof"):
        outcomes = cancel_all(api, ids, reason, wait)
    if as_json:
        show_json(outcomes)
    elif len(outcomes) > 1:
        say(table(("TASK", "OUTCOME", "MESSAGE"), [(o.task_id, o.status, o.message) for o in outcomes]))
    good = {"success", "accepted"} if wait == 0 else {"success"}
    failures = [outcome for outcome in outcomes if outcome.status not in good]
    if len(outcomes) == 1 and not as_json and not failures:
        say(outcomes[0].message)
    if failures:
        _fail(outcomes, failures)


def _fail(outcomes: Sequence[Outcome], failures: Sequence[Outcome]) -> None:
    if len(outcomes) == 1:
        click.echo(failures[0].message, err=True)
    else:
        click.echo(f"{len(failures)} of {len(outcomes)} tasks were not cancelled.", err=True)
    raise click.exceptions.Exit(1)


def cancel_all(api: Asked, ids: Sequence[str], reason: str | None, wait: float | None) -> list[Outcome]:
    """Cancel several tasks side by side; the outcomes come in the order of the ids.

    Raises:
        Unreachable: the server is away.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda task_id: _cancel(api, task_id, reason, wait), ids))


def _cancel(api: Asked, task_id: str, reason: str | None, wait: float | None) -> Outcome:
    path = f"/scheduler/cancel-task/{quote(task_id, safe='')}/"
    try:
        status, body = api.post(path, {"reason": reason, "wait": wait}, wait=10.0 if wait is None else wait)
    except Refused as error:
        return _outcome(task_id, error.status, error.body, error.message)
    return _outcome(task_id, status, body, "")


def _outcome(task_id: str, http_status: int, body: dict[str, Any], message: str) -> Outcome:
    return Outcome(
        task_id=task_id,
        status=str(body.get("status", "error")),
        message=message or str(body.get("message", "")),
        http_status=http_status,
        command_id=body.get("command_id"),
        verified=bool(body.get("verified")),
    )
