"""`signalbox stop`, `start`, `restart` and `status`: the processes of every host."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from signalbox_cli.errors import Refused
from signalbox_cli.options import Backend, connected_or_local, show_json, with_options
from signalbox_cli.output.spinner import spinner
from signalbox_cli.output.table import paint, plain, say, say_styled, table

#: Seconds that a stop or start, and a restart of everything in turn, may take by default.
_WAIT = 60.0
_RESTART_WAIT = 600.0

_TARGETS = (
    click.option("--host", "hosts", multiple=True, metavar="NAME", help="Only on this host; may be repeated."),
    click.option("--process", "processes", multiple=True, metavar="NAME", help="Only this one; may be repeated."),
)
_STOPPING = (
    click.option("--mode", type=click.Choice(["graceful", "immediate"]), help="Let tasks finish (default), or not."),
    click.option(
        "--timeout", type=click.FloatRange(0, 3600), metavar="SECONDS", help="How long a graceful stop may take."
    ),
    click.option(
        "--redeliver", is_flag=True, help="Let the tasks that it ends run again, where Celery acknowledges them late."
    ),
)
_GIVING = (
    click.option("--reason", metavar="TEXT", help="Why, for the audit trail."),
    click.option("--wait", type=click.FloatRange(0, 600), metavar="SECONDS", help="How long to wait for the end."),
)


@click.command()
@with_options(*_TARGETS, *_STOPPING, *_GIVING)
@connected_or_local
def stop(backend: Backend, *, as_json: bool, timeout: float | None, wait: float | None, **body: object) -> None:
    """Stop Celery: every worker and beat, or only those named.

    Tasks that still run at the end of the time-out are killed and marked as failed.
    """
    patience = _WAIT + (timeout or 0.0) if wait is None else wait
    _steer(backend, "stop", {**body, "timeout": timeout, "wait": wait}, patience, as_json=as_json)


@click.command()
@with_options(*_TARGETS, *_GIVING)
@connected_or_local
def start(backend: Backend, *, as_json: bool, wait: float | None, **body: object) -> None:
    """Start Celery: every configured worker and beat, or only those named; done when each really consumes."""
    _steer(backend, "start", {**body, "wait": wait}, _WAIT if wait is None else wait, as_json=as_json)


@click.command()
@with_options(*_TARGETS, *_STOPPING, *_GIVING)
@connected_or_local
def restart(backend: Backend, *, as_json: bool, wait: float | None, **body: object) -> None:
    """Restart Celery: one worker or beat after the other, over all hosts; each consumes before the next one stops.

    What was stopped by a person stays so, unless it is named. The first that does not come back ends the restart.
    """
    patience = _RESTART_WAIT if wait is None else wait
    _steer(backend, "restart", {**body, "wait": patience}, patience, as_json=as_json)


def _steer(backend: Backend, verb: str, body: dict[str, Any], patience: float, *, as_json: bool) -> None:
    body = {key: value for key, value in body.items() if value != ()}
    with spinner(f"waiting for every process to {verb}"):
        status, answer = backend.post(f"/scheduler/{verb}-celery/", body, wait=patience)
    if answer.get("status") == "error" or (status == 202 and body.get("wait") != 0):
        raise Refused(str(answer.get("message", f"HTTP {status}")), status, answer)
    if as_json:
        show_json(answer)
        return
    say(str(answer.get("message", "")))
    if rows := [_row(process.get("host", ""), process) for process in answer.get("processes", [])]:
        say_styled(table(_HEADINGS, rows, process=True))


@click.command()
@connected_or_local
def status(backend: Backend, *, as_json: bool) -> None:
    """Show whether Celery runs: overall, and process by process.

    Exit code 1 while nobody vouches for what is shown: the first lines say which part is behind, and since when.
    """
    answer = backend.get("/scheduler/celery-status/")
    behind = answer.get("behind", [])
    if as_json:
        show_json(answer)
    else:
        _show_status(answer, behind)
    if behind:
        raise click.exceptions.Exit(Refused.exit_code)


def _show_status(answer: dict[str, Any], behind: list[dict[str, Any]]) -> None:
    for part in behind:
        say_styled(click.style(f"{plain(part_in_words(part))}.", fg="red", bold=True))
    if behind:
        say(f"What follows is as of {local_time(answer.get('as_of')) or 'a time that nobody knows'}.")
    # A single host, asked by --local, cannot speak for all of them.
    states = {name.title(): plain(answer[name]) for name in ("celery", "worker", "beat") if name in answer}
    if states:
        say_styled("   ".join(f"{name}: {paint(state, process=True)}" for name, state in states.items()))
    rows = list(_rows(answer.get("hosts", [])))
    say_styled(table(_HEADINGS, rows, process=True) if rows else "No host has reported yet; is a controller running?")


_HEADINGS = ("HOST", "PROCESS", "KIND", "STATE", "DESIRED", "PID", "SINCE", "MESSAGE")


def _rows(hosts: list[dict[str, Any]]) -> Iterator[tuple[object, ...]]:
    for host in hosts:
        state = host.get("state") if host.get("state") != "online" else None
        notes = ", ".join(filter(None, (state, clock_in_words(host.get("clock_ahead")))))
        name = f"{host.get('name')} ({notes})" if notes else host.get("name")
        processes = host.get("processes", [])
        yield from (_row(name, process) for process in processes)
        if not processes:
            yield (name, *[None] * 6, "no processes")


def _row(host: object, process: dict[str, Any]) -> tuple[object, ...]:
    fields = ("name", "kind", "state", "desired", "pid", "since", "message")
    last, at = process.get("last_state"), local_time(process.get("confirmed_at"))
    was = f"was {last} at {at}" if process.get("state") == "unknown" and last not in {None, "unknown"} else ""
    message = "; ".join(filter(None, (was, process.get("message"))))
    shown = process | {"since": local_time(process.get("since")), "message": message}
    return (host, *(shown.get(field) for field in fields))


def clock_in_words(ahead: float | None) -> str:
    """What is wrong with the clock of a host; empty where nothing is known to be."""
    return f"its clock is {abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}" if ahead else ""


def part_in_words(part: dict[str, Any]) -> str:
    """What is wrong with a part, and since when."""
    since = local_time(part.get("since"))
    return f"{part.get('message', '')} (since {since})" if since else str(part.get("message", ""))


def local_time(text: str | None) -> str | None:
    """A time of the api in the reader's own time zone, to the second."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return text
