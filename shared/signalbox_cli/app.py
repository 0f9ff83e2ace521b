"""App: the tree of commands."""

import click

from signalbox_cli.commands.access import password, token, user
from signalbox_cli.commands.allow import allow
from signalbox_cli.commands.apply import apply
from signalbox_cli.commands.audit import audit
from signalbox_cli.commands.cancel import cancel
from signalbox_cli.commands.doctor import doctor
from signalbox_cli.commands.forget import forget
from signalbox_cli.commands.processes import restart, start, status, stop
from signalbox_cli.commands.setup import setup
from signalbox_cli.commands.tasks import tasks


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="celery-signalbox", message="signalbox %(version)s")
def cli() -> None:
    """See every Celery task and process, and stop the one that must stop.

    Finds Signalbox by itself after `signalbox setup` and beside a running `make up`: it reads client.json
    in the data folder that SIGNALBOX_DATA names (.signalbox by default). For any other installation give
    --url and --token, or set SIGNALBOX_URL and SIGNALBOX_TOKEN.

    \b
    Exit codes: 0 done · 1 refused or failed, with the server's sentence on standard error
                2 the command line makes no sense · 3 Signalbox cannot be reached
    """  # noqa: D301 - click wants the character itself


_work = (cancel, allow, stop, start, restart, apply, status, forget, tasks)
for command in (setup, *_work, token, user, password, audit, doctor):
    cli.add_command(command)
