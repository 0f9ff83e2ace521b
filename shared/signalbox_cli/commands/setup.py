"""`signalbox setup`: makes what the services need, and says what to start, in which order."""

import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from signalbox.settings import Settings
from signalbox_cli.api.target import CLIENT_FILE
from signalbox_cli.errors import Refused
from signalbox_cli.installation import environment_file, parts
from signalbox_cli.installation.private_file import write_private
from signalbox_cli.options import show_json
from signalbox_cli.output.spinner import spinner
from signalbox_cli.output.table import plain, say, say_styled

#: The addresses that it needs, with the plain name that is read where the first is not set, and an example.
ADDRESSES = (
    ("SIGNALBOX_REDIS_URL", "REDIS_URL", "redis://:password@127.0.0.1:6379/0"),
    ("SIGNALBOX_DATABASE_URL", "DATABASE_URL", "postgresql://user:password@127.0.0.1:5432/signalbox"),
)
#: The settings that belong into the file where they are set, so that all services get the same; not the name of this
#: host, as the file is copied to others.
KEPT = tuple(f"SIGNALBOX_{field.upper()}" for field in Settings.__struct_fields__ if field != "hostname")
#: Seconds for which PostgreSQL is waited for.
WITHIN = "10"


class Made(msgspec.Struct, frozen=True):
    """What the api's own bootstrap answers."""

    token: str
    user: str | None = None
    password: str | None = None


@click.command()
@click.option(
    "--environment",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    default="signalbox.env",
    show_default=True,
    help="The file for the settings of the services; what it holds already is kept.",
)
@click.option("--user", default="admin", show_default=True, help="The name of the first user.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON on standard output.")
def setup(file: Path, user: str, *, as_json: bool) -> None:
    """Make the tables, the key and the first user; say what to start, in which order.

    Run it once where the record is kept, with SIGNALBOX_REDIS_URL and SIGNALBOX_DATABASE_URL set; again it changes
    nothing that is there. The first user gets the password of SIGNALBOX_ADMIN_PASSWORD, else one that is shown once.
    """
    file = file.absolute()
    variables = settings(environment_file.read(file), os.environ)
    parts.require("signalbox-reconciler", "signalbox-api")
    environ = {**os.environ, **variables}
    with spinner("making the tables"):
        parts.run("signalbox_reconciler", "--migrate-only", "--within", WITHIN, environ=environ)
    environment_file.write(file, variables)
    with spinner("making the first user"):
        made = _first_user(user, environ)
    client = Path(variables["SIGNALBOX_DATA"]) / CLIENT_FILE
    url = _url(variables)
    write_private(client, msgspec.json.encode({"url": url, "token": made.token}).decode())
    if as_json:
        show_json({"environment": str(file), "url": url, "user": made.user, "password": made.password})
        return
    _report(file, variables, made)
    _next_steps(file, url)


def settings(written: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """The settings of the services: those of the environment before those that are written already.

    Raises:
        Refused: an address is missing, or the environment has another key than the file.
    """
    found = dict(written) | {name: environ[name] for name in KEPT if environ.get(name)}
    for name, usual, example in ADDRESSES:
        value = environ.get(name) or written.get(name) or environ.get(usual)
        if not value:
            raise Refused(f"{name} is not set: set it first, as in: export {name}={example}")
        found[name] = value
    key, kept = environ.get("SIGNALBOX_KEY"), written.get("SIGNALBOX_KEY")
    if key and kept and key != kept:
        raise Refused(
            "SIGNALBOX_KEY is another one than in the file of settings, and all services need the same:"
            " unset it, or name another file with --environment"
        )
    found["SIGNALBOX_KEY"] = key or kept or secrets.token_urlsafe(32)
    found["SIGNALBOX_DATA"] = str(
        Path(environ.get("SIGNALBOX_DATA") or found.get("SIGNALBOX_DATA", ".signalbox")).absolute()
    )
    return found


def _first_user(user: str, environ: Mapping[str, str]) -> Made:
    token = f"setup on {socket.gethostname()}"
    output = parts.run("signalbox_api.bootstrap", "--user", user, "--token", token, environ=environ)
    try:
        return msgspec.json.decode(output, type=Made)
    except msgspec.DecodeError as error:
        raise Refused(f"the api did not say which user it has made ({error}); are all parts of one release?") from error


def _url(variables: Mapping[str, str]) -> str:
    host = variables.get("SIGNALBOX_HOST", "127.0.0.1")
    named = "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 - every address: this one among them
    return f"http://{f'[{named}]' if ':' in named else named}:{variables.get('SIGNALBOX_PORT') or '8000'}"


def _report(file: Path, variables: Mapping[str, str], made: Made) -> None:
    done: list[tuple[str, Any]] = [
        ("settings and key", file),
        ("tables", "up to date"),
        ("token of this command line", Path(variables["SIGNALBOX_DATA"]) / CLIENT_FILE),
        ("users", f"{made.user} may sign in" if made.user else "there are some already; none was made or changed"),
    ]
    for what, detail in done:
        say_styled(f"{click.style('ok  ', fg='green')}  {what}: {plain(detail)}")
    if made.password:
        say(f"Sign in as {made.user} with the password {made.password}; it is shown only this once.")


def _next_steps(file: Path, url: str) -> None:
    say("")
    say("Start, in this order, each with these settings and under a supervisor that starts it again:")
    say(f"  set -a; . {file}; set +a")
    say(f"  {parts.command('signalbox-reconciler')}   writes the record")
    say(f"  {parts.command('signalbox-api')}          serves {url}")
    say(f"  {parts.command('signalbox-controller')}   on each host that runs Celery, with its signalbox.toml")
    say("Then `signalbox doctor` says what is missing.")
