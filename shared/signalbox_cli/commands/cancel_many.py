"""Cancelling many tasks from the command line: counted first, followed while it goes on, told task by task."""

import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import click
import msgspec

from signalbox_cli.options import Asked, show_json
from signalbox_cli.output.outcome import outcomes_of_many
from signalbox_cli.output.table import say, table
from signalbox_cli.output.waiting import waiting

_PATH = "/scheduler/cancel-tasks/"
#: Seconds that the server waits for proof when nobody says.
_WAIT = 30.0
#: Ids that the server takes in one call.
_MOST = 10_000


class Chosen(msgspec.Struct, frozen=True):
    """Which tasks, and how."""

    ids: list[str]
    #: The filter; empty where there are ids.
    wanted: Mapping[str, Any]
    #: What else the body says.
    body: Mapping[str, Any]

    def bodies(self) -> list[dict[str, Any]]:
        """The bodies of the calls that it takes."""
        if self.wanted:
            return [{**self.body, "filter": dict(self.wanted)}]
        parts = [self.ids[at : at + _MOST] for at in range(0, len(self.ids), _MOST)]
        return [{**self.body, "task_ids": part, "limit": None} for part in parts]


def cancel_chosen(api: Asked, chosen: Chosen, *, as_json: bool, dry_run: bool, ask: bool) -> None:
    """Count them, cancel them, or both; ends with exit code 1 when some were not cancelled."""
    if dry_run or ask:
        seen = _count(api, chosen)
        if dry_run and as_json:
            show_json(seen)
            return
        _show(seen)
        if dry_run or not seen["matched"] or not _confirmed(seen):
            return
    answers = [_cancel(api, body) for body in chosen.bodies()]
    if not as_json:
        for answer in answers:
            _tell(answer)
    elif chosen.wanted:
        show_json(answers[0])
    else:
        show_json([outcome for answer in answers for outcome in outcomes_of_many(answer)])
    well = {"cancelled", "dropped"} | ({"finished"} if chosen.wanted else set())
    well |= {"unproven"} if chosen.body["wait"] == 0 else set()
    found = Counter[str]()
    for answer in answers:
        found.update(answer["counts"])
    if failed := sum(count for outcome, count in found.items() if outcome not in well):
        say(f"{failed:,} of {found.total():,} tasks were not cancelled.", err=True)
        raise click.exceptions.Exit(1)


def _count(api: Asked, chosen: Chosen) -> dict[str, Any]:
    seen = [api.post(_PATH, {**body, "dry_run": True})[1] for body in chosen.bodies()]
    if len(seen) == 1:
        return seen[0]
    sums = {name: sum(one[name] for one in seen) for name in ("matched", "running", "pending")}
    return {**seen[0], **sums, "message": f"{sums['matched']:,} of these tasks wait or run"}


def _show(seen: Mapping[str, Any]) -> None:
    rows = [(task["task_id"], task["name"], task["status"], task["host"]) for task in seen["sample"]]
    if rows:
        say(table(("TASK", "NAME", "STATUS", "HOST"), rows))
        if (more := seen["matched"] - len(rows)) > 0:
            say(f"… and {more:,} more")
    say(f"{str(seen['message']).rstrip('.')}.")


def _confirmed(seen: Mapping[str, Any]) -> bool:
    if not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask on; say --yes to cancel what matches.")
    return click.confirm(f"Cancel what matches now ({seen['matched']:,})?", err=True)


def _cancel(api: Asked, body: dict[str, Any]) -> dict[str, Any]:
    wait = body["wait"]
    with waiting("cancelling") as sign:

        def told(done: int, total: int) -> None:
            sign.what = f"cancelling {done:,} of {total:,}"

        return api.follow(_PATH, body, told, wait=_WAIT if wait is None else wait)[1]


def _tell(answer: Mapping[str, Any]) -> None:
    others = [task for task in answer["tasks"] if task["outcome"] not in {"cancelled", "dropped"}]
    if others:
        rows = [(task["task_id"], task["name"], task["outcome"], task["message"]) for task in others]
        say(table(("TASK", "NAME", "OUTCOME", "MESSAGE"), rows))
    say(f"{answer['message']}.")
