"""`signalbox doctor`: checks an installation step by step, with advice for each check that fails."""

import os
from pathlib import Path

import click

from signalbox_cli.api.http import Api
from signalbox_cli.api.target import find_target
from signalbox_cli.commands.checks import FIRST_START, Check, examine
from signalbox_cli.errors import Unreachable
from signalbox_cli.options import show_json, with_connection_options
from signalbox_cli.output.spinner import spinner
from signalbox_cli.output.table import plain, say, say_styled


@click.command()
@with_connection_options
def doctor(url: str | None, token: str | None, as_json: bool) -> None:
    """Check an installation step by step, and say what to do about what fails.

    Looks whether the api is there, who the token is, whether Redis and PostgreSQL answer, which hosts
    listen, whether every process that should run does, and which workers have no agent.
    """
    with spinner("examining"):
        checks = _checks(url, token)
    healthy = all(check.ok for check in checks)
    if as_json:
        show_json({"ok": healthy, "checks": checks})
    else:
        _print(checks)
    if not healthy:
        raise click.exceptions.Exit(1 if checks[0].ok and checks[1].ok else Unreachable.exit_code)


def _checks(url: str | None, token: str | None) -> list[Check]:
    try:
        target = find_target(url, token, os.environ)
        api = Api(target)
    except Unreachable as error:
        return [Check(check="address", ok=False, detail=error.message, advice=FIRST_START)]
    found = Check(check="address", ok=True, detail=f"{target.url} ({target.source})")
    with api:
        return [found, *examine(api, Path(os.environ.get("SIGNALBOX_DATA") or ".signalbox"))]


def _print(checks: list[Check]) -> None:
    for check in checks:
        say_styled(f"{_mark(check)}  {plain(check.check)}: {plain(check.detail)}")
        if check.advice and (check.note or not check.ok):
            first, *rest = check.advice.splitlines()
            say(f"      → {plain(first)}")
            for line in rest:
                say(f"        {plain(line)}")


def _mark(check: Check) -> str:
    if check.note:
        return click.style("note", fg="yellow")
    return click.style("ok  ", fg="green") if check.ok else click.style("FAIL", fg="red", bold=True)
