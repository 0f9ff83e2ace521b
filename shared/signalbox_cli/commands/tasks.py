"""`signalbox tasks`: the list of tasks, newest first."""

from typing import Any

import click

from signalbox_cli.api.http import Api
from signalbox_cli.commands.processes import local_time, part_in_words
from signalbox_cli.options import connected, show_json
from signalbox_cli.output.age import AGE
from signalbox_cli.output.table import plain, say, say_styled, table

_STATUSES = ("pending", "running", "completed", "failed")
_HEADINGS = ("TASK", "NAME", "STATUS", "HOST", "PID", "CREATED", "RUNTIME", "ERROR")
#: Characters of an error that the table shows.
_ERROR_WIDTH = 60


@click.command()
@click.option("--status", type=click.Choice(_STATUSES), help="Only tasks of this status.")
@click.option(
    "--q", metavar="TEXT", help="Only tasks whose name, error or arguments hold this, or whose id begins with it."
)
@click.option("--name", metavar="NAME", help="Only tasks of this name, or of this full name.")
@click.option("--host", metavar="HOST", help="Only tasks on this host.")
@click.option("--queue", metavar="QUEUE", help="Only tasks out of this queue.")
@click.option("--older-than", type=AGE, metavar="AGE", help="Only tasks older than this: 90s, 15m, 2h, 1d.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.option("--after", metavar="CURSOR", help="Go on where the last list ended.")
@connected
def tasks(api: Api, *, as_json: bool, **query: str | int | None) -> None:
    """List tasks, newest first."""
    answer = api.get("/scheduler/tasks/", query)
    if as_json:
        show_json(answer)
        return
    for part in answer.get("behind", []):
        say(f"{part_in_words(part)}.", err=True)
    if note := answer.get("note"):
        say(f"{plain(note)}.", err=True)
    items = answer.get("items", [])
    if not items:
        filtered = any(value is not None for name, value in query.items() if name != "limit")
        say("Nothing matches." if filtered else "No tasks yet.")
        return
    say_styled(table(_HEADINGS, [_row(task) for task in items]))
    if following := answer.get("next"):
        say(f"More: signalbox tasks --after {plain(following)}", err=True)


def _row(task: dict[str, Any]) -> tuple[object, ...]:
    runtime = task.get("runtime")
    status = plain(task.get("status"))
    error = str(task.get("error") or "")
    return (
        task.get("task_id"),
        task.get("name"),
        # What was inferred must not look like what was seen.
        status if task.get("confirmed", True) else f"{status}?",
        task.get("host"),
        task.get("pid"),
        local_time(task.get("created_at")),
        None if runtime is None else f"{runtime:.1f} s",
        error if len(error) <= _ERROR_WIDTH else f"{error[: _ERROR_WIDTH - 1]}…",
    )
