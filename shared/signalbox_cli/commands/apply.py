"""`signalbox apply`: brings an edited signalbox.toml into effect on this host."""

from typing import Literal, cast

import click

from signalbox.local.protocol import Applied, ApplyConfiguration
from signalbox_cli.errors import Refused
from signalbox_cli.host.local_host import LocalHost
from signalbox_cli.options import show_json
from signalbox_cli.output.table import say, say_styled, table

#: Seconds that the host has for all of it.
_WAIT = 600.0
_HEADINGS = ("PROCESS", "WHAT", "WHY")


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.option(
    "--restart",
    type=click.Choice(["rolling", "none"]),
    default="rolling",
    show_default=True,
    help="Restart what runs with other options, one process after the other over all hosts; or leave it, marked.",
)
@click.option("--wait", type=click.FloatRange(0, 3600), default=_WAIT, metavar="SECONDS", help="How long to wait.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON on standard output.")
def apply(*, dry_run: bool, restart: str, wait: float, as_json: bool) -> None:
    """Bring an edited signalbox.toml into effect: say what differs, then change just that.

    Asks the controller of this host through its own socket, below SIGNALBOX_DATA. New processes are started, those
    that the file does not name any more are stopped, and only those that run with other options are restarted.
    """
    host, mode = LocalHost(), cast("Literal['rolling', 'none']", restart)
    planned = host.apply(ApplyConfiguration(dry_run=True, restart=mode), wait)
    if not as_json:
        _show(planned)
    if dry_run:
        if as_json:
            show_json(planned)
        return
    done = host.apply(ApplyConfiguration(restart=mode), wait)
    if as_json:
        show_json(done)
    if done.errors:
        raise Refused("; ".join(done.errors))
    if not as_json and done.changes:
        left = restart == "none" and any(change.action == "restart" for change in done.changes)
        say(
            "Done."
            if not left
            else "Done, but for the restarts: `signalbox status` marks what runs with other options."
        )


def _show(applied: Applied) -> None:
    rows = [(change.name, change.action, change.detail) for change in applied.changes]
    if rows:
        say_styled(table(_HEADINGS, rows))
    else:
        say(f"{applied.host} runs as signalbox.toml says: nothing is to be changed.")
    for text in applied.later:
        say(f"Only when the controller is started anew: {text}")
