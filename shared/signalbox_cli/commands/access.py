"""Access: `signalbox token create`, `signalbox user add`, `user password`, and `password`."""

import sys
from urllib.parse import quote

import click

from signalbox_cli.api.http import Api
from signalbox_cli.api.target import Target
from signalbox_cli.options import connected, show_json
from signalbox_cli.output.table import say

_role = click.option(
    "--role",
    type=click.Choice(["viewer", "operator", "admin"]),
    required=True,
    help="viewer looks; operator also cancels, stops and starts; admin also manages users and tokens.",
)

_from_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input instead of asking."
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
@_from_stdin
@connected
def add_user(api: Api, *, as_json: bool, name: str, role: str, password_stdin: bool) -> None:
    """Let the person called NAME sign in; the password is asked for, never taken from the command line."""
    _, answer = api.post("/scheduler/users/", {"name": name, "role": role, "password": _password(password_stdin)})
    if as_json:
        show_json(answer)
        return
    say(str(answer.get("message") or f"User {name} may sign in as {role}."))


@user.command("password")
@click.argument("name")
@_from_stdin
@connected
def set_password(api: Api, *, as_json: bool, name: str, password_stdin: bool) -> None:
    """Give the person called NAME another password; all sessions of that person end."""
    path = f"/scheduler/users/{quote(name, safe='')}/password/"
    _, answer = api.call("PUT", path, body={"password": _password(password_stdin)})
    if as_json:
        show_json(answer)
        return
    say(str(answer["message"]))


@click.command()
@click.option("--user", "name", metavar="NAME", required=True, help="The name that you sign in with.")
@click.option("--password-stdin", is_flag=True, help="Read the current and the new password, a line each.")
@connected
def password(api: Api, *, as_json: bool, name: str, password_stdin: bool) -> None:
    """Change your own password; all your sessions end, wherever you are signed in."""
    current = _password(password_stdin, "Current password", twice=False)
    new = _password(password_stdin, "New password")
    with Api(Target(api.target.url)) as person:  # signed in by the password: a token has none
        _, session = person.post("/session", {"username": name, "password": current})
        proof = {"X-CSRF-Token": str(session["csrf"])}
        try:
            body = {"current": current, "password": new}
            _, answer = person.call("POST", "/session/password", body=body, headers=proof)
        finally:
            person.call("DELETE", "/session", headers=proof)
    if as_json:
        show_json(answer)
        return
    say(str(answer["message"]))


def _password(from_stdin: bool, prompt: str = "Password", *, twice: bool = True) -> str:
    if from_stdin:
        given = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        given = click.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True)
    else:
        raise click.UsageError("There is no terminal to ask for the password; use --password-stdin.")
    if not given:
        raise click.UsageError("The password is empty.")
    return given
