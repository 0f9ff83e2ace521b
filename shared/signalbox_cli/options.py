"""Options that commands share: the address of Signalbox, and the form of the answer."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Protocol, TypeVar

import click
import msgspec

from signalbox_cli.api.http import Api, Query
from signalbox_cli.api.target import find_target
from signalbox_cli.errors import Refused
from signalbox_cli.host.local_host import LocalHost
from signalbox_cli.output.table import say
from signalbox_cli.visible import visible_json

F = TypeVar("F", bound=Callable[..., None])


def with_options(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Decorator that gives a command several options, shown in this order."""

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


#: The options of every command.
with_connection_options = with_options(
    click.option("--url", metavar="URL", help="Address of the api, else SIGNALBOX_URL, else from SIGNALBOX_DATA."),
    click.option("--token", metavar="TOKEN", help="Token to show there; SIGNALBOX_TOKEN hides it from `ps`."),
    click.option("--json", "as_json", is_flag=True, help="Answer in JSON on standard output."),
)

_local = click.option(
    "--local",
    is_flag=True,
    help="Ask the controller of this host through its own socket, below SIGNALBOX_DATA: works when Redis or the api"
    " is away, and reaches this host only.",
)


class Backend(Protocol):
    """Backend of a command: the api, or the controller of this host in its place.

    Every method raises Refused or Unreachable: see `signalbox_cli.errors`.
    """

    def get(self, path: str, query: Mapping[str, Query | None] | None = None, /) -> dict[str, Any]:
        """Read something; parameters that are None are left out."""

    def post(self, path: str, body: dict[str, Any], *, wait: float = 0.0) -> tuple[int, dict[str, Any]]:
        """Request something that may take `wait` seconds; return the HTTP status and the body."""

    def follow(
        self, path: str, body: dict[str, Any], on_progress: Callable[[int, int], None], /, *, wait: float = 0.0
    ) -> tuple[int, dict[str, Any]]:
        """As `post`; meanwhile `on_progress` is called with the tasks that are done and their total."""


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the common options, and an Api and `as_json` in their place.

    What the server refuses is also printed in JSON where that was asked for, so that scripts read one form.
    """

    @wraps(command)
    def run(url: str | None, token: str | None, as_json: bool, **arguments: object) -> None:
        with Api(find_target(url, token)) as api:
            _call(command, api, as_json=as_json, **arguments)

    return with_connection_options(run)


def connected_or_local(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `connected` and `--local`, which asks the controller of this host instead."""
    through_the_api = connected(command)

    @_local
    @wraps(through_the_api)
    def run(local: bool, as_json: bool, **arguments: object) -> None:
        if not local:
            through_the_api(as_json=as_json, **arguments)
            return
        if arguments.pop("url") or arguments.pop("token"):
            raise click.UsageError("--local asks no api; leave --url and --token out.")
        _call(command, LocalHost(), as_json=as_json, **arguments)

    return run


def _call(command: Callable[..., None], backend: Backend, *, as_json: bool, **arguments: object) -> None:
    try:
        command(backend, as_json=as_json, **arguments)
    except Refused as error:
        if as_json:
            show_json(error.body)
        raise


def show_json(value: object) -> None:
    """Print a value as JSON, indented for people, valid for machines."""
    # An escape in JSON is the same value.
    say(visible_json(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()))
