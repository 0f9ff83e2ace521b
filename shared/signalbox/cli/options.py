"""What every command takes: where Signalbox is, and in what form to answer."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import click
import msgspec

from signalbox.cli.errors import Refused
from signalbox.cli.http import Api
from signalbox.cli.table import say
from signalbox.cli.target import find_target

F = TypeVar("F", bound=Callable[..., None])

_OPTIONS = (
    click.option("--url", metavar="URL", help="Address of the api, else SIGNALBOX_URL, else from SIGNALBOX_DATA."),
    click.option("--token", metavar="TOKEN", help="Token to show there; SIGNALBOX_TOKEN hides it from `ps`."),
    click.option("--json", "as_json", is_flag=True, help="Answer in JSON on standard output."),
)


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the common options, and an Api and `as_json` in their place.

    What the server refuses is also printed in JSON where that was asked for, so that scripts read one form.
    """

    @wraps(command)
    def run(url: str | None, token: str | None, as_json: bool, **arguments: object) -> None:
        with Api(find_target(url, token)) as api:
            try:
                command(api, as_json=as_json, **arguments)
            except Refused as error:
                if as_json:
                    show_json(error.body)
                raise

    return with_connection_options(run)


def with_connection_options(command: F) -> F:
    """The common options alone."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def show_json(value: object) -> None:
    """Print a value as JSON, indented for people, valid for machines."""
    say(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
