"""`signalbox forget`: hosts that have left for good."""

import click

from signalbox_cli.errors import Refused
from signalbox_cli.options import Backend, connected, show_json
from signalbox_cli.output.table import say

#: Seconds that the server waits for the record by default.
_WAIT = 10.0


@click.command()
@click.argument("hosts", nargs=-1, metavar="HOST...", required=True)
@click.option("--reason", metavar="TEXT", help="Why, for the audit trail.")
@connected
def forget(backend: Backend, *, as_json: bool, hosts: tuple[str, ...], reason: str | None) -> None:
    """Forget hosts that have left for good: no status shows them, and no stop waits for them any more.

    Tasks that ran there are shown as failed, not confirmed. A host that still reports is not forgotten; one that
    reports again later is shown again.
    """
    body = {"hosts": list(dict.fromkeys(hosts)), "reason": reason}
    status, answer = backend.post("/scheduler/forget-hosts/", body, wait=_WAIT)
    if status == 202:
        raise Refused(str(answer.get("message", f"HTTP {status}")), status, answer)
    if as_json:
        show_json(answer)
    else:
        say(str(answer.get("message", "")))
