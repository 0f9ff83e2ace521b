"""Access: `signalbox token create` and `signalbox user add`."""

import sys

import click

from signalbox_cli.api.http import Api
from signalbox_cli.options import connected, show_json
from signalbox_cli.output.table import say

_role = click.option(
    "--role",
    type=click.Choice(["viewer", "operator", "admin"]),
    required=True,
    help="viewer looks; operator also cancels, stops and starts; admin also manages users and tokens.",
)


@click.group()
def token() -> None:
    """Manage the tokens of machines (needs the role admin)."""


@token.command("create")
@click.argument("name")
@_role
@connected
def create_token(api: Api, *, as_json: bool, name: str, role: str) -> None:
    """Make a token called NAME and print it; it is shown this once and never again."""
    _, answer = api.post("/scheduler/tokens/", {"name": name, "role": role})
    if as_json:
        show_json(answer)
        return
    say(f"Token {name} ({role}); keep it safe, it is shown only this once:", err=True)
    say(str(answer["token"]))


@click.group()
def user() -> None:
    """Manage the people who may sign in (needs the role admin)."""


@user.command("add")
@click.argument("name")
@_role
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
@connected
def add_user(api: Api, *, as_json: bool, name: str, role: str, password_stdin: bool) -> None:
    """Let the person called NAME sign in; the password is asked for, never taken from the command line."""
    _, answer = api.post("/scheduler/users/", {"name": name, "role": role, "password": _password(password_stdin)})
    if as_json:
        show_json(answer)
        return
    say(str(answer.get("message") or f"User {name} may sign in as {role}."))


def _password(from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        raise click.UsageError("There is no terminal to ask for the password; use --password-stdin.")
    if not password:
        raise click.UsageError("The password is empty.")
    return password
