"""Cancel of many tasks: counts them, confirms, cancels with progress, and prints each failure."""

import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import click
import msgspec

from signalbox_cli.options import Backend, show_json
from signalbox_cli.output.outcome import outcomes_of_many
from signalbox_cli.output.spinner import spinner
from signalbox_cli.output.table import say, say_styled, table

_PATH = "/scheduler/cancel-tasks/"
#: Seconds that the server waits for the proof by default.
_WAIT = 30.0
#: Ids that the server takes in one call.
_MOST = 10_000


class Selection(msgspec.Struct, frozen=True):
    """The tasks to cancel, by id or by filter, and the options of the cancel."""

    ids: list[str]
    #: Empty where there are ids.
    filter: Mapping[str, Any]
    #: The other fields of the request.
    body: Mapping[str, Any]

    def bodies(self) -> list[dict[str, Any]]:
        """The body of each request; more than _MOST ids take several."""
        if self.filter:
            return [{**self.body, "filter": dict(self.filter)}]
        parts = [self.ids[at : at + _MOST] for at in range(0, len(self.ids), _MOST)]
        return [{**self.body, "task_ids": part, "limit": None} for part in parts]


def cancel_selected(backend: Backend, selection: Selection, *, as_json: bool, dry_run: bool, confirm: bool) -> None:
    """Count the tasks, cancel them, or both; exit code 1 when some were not cancelled."""
    if dry_run or confirm:
        preview = _preview(backend, selection)
        if dry_run and as_json:
            show_json(preview)
            return
        _print_preview(preview)
        if dry_run or not preview["matched"] or not _confirmed(preview):
            return
    answers = [_cancel(backend, body) for body in selection.bodies()]
    if not as_json:
        for answer in answers:
            _print_answer(answer)
    elif selection.filter:
        show_json(answers[0])
    else:
        show_json([outcome for answer in answers for outcome in outcomes_of_many(answer)])
    good = {"cancelled", "dropped"} | ({"finished"} if selection.filter else set())
    good |= {"unproven"} if selection.body["wait"] == 0 else set()
    counts = Counter[str]()
    for answer in answers:
        counts.update(answer["counts"])
    if failed := sum(count for outcome, count in counts.items() if outcome not in good):
        say(f"{failed:,} of {counts.total():,} tasks were not cancelled.", err=True)
        raise click.exceptions.Exit(1)


def _preview(backend: Backend, selection: Selection) -> dict[str, Any]:
    answers = [backend.post(_PATH, {**body, "dry_run": True})[1] for body in selection.bodies()]
    if len(answers) == 1:
        return answers[0]
    sums = {name: sum(answer[name] for answer in answers) for name in ("matched", "running", "pending")}
    return {**answers[0], **sums, "message": f"{sums['matched']:,} of these tasks wait or run"}


def _print_preview(preview: Mapping[str, Any]) -> None:
    rows = [(task["task_id"], task["name"], task["status"], task["host"]) for task in preview["sample"]]
    if rows:
        say_styled(table(("TASK", "NAME", "STATUS", "HOST"), rows))
        if (more := preview["matched"] - len(rows)) > 0:
            say(f"… and {more:,} more")
    say(f"{str(preview['message']).rstrip('.')}.")


def _confirmed(preview: Mapping[str, Any]) -> bool:
    if not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask on; say --yes to cancel what matches.")
    return click.confirm(f"Cancel what matches now ({preview['matched']:,})?", err=True)


def _cancel(backend: Backend, body: dict[str, Any]) -> dict[str, Any]:
    wait = body["wait"]
    with spinner("cancelling") as shown:

        def on_progress(done: int, total: int) -> None:
            shown.text = f"cancelling {done:,} of {total:,}"

        return backend.follow(_PATH, body, on_progress, wait=_WAIT if wait is None else wait)[1]


def _print_answer(answer: Mapping[str, Any]) -> None:
    failures = [task for task in answer["tasks"] if task["outcome"] not in {"cancelled", "dropped"}]
    if failures:
        rows = [(task["task_id"], task["name"], task["outcome"], task["message"]) for task in failures]
        say_styled(table(("TASK", "NAME", "OUTCOME", "MESSAGE"), rows))
    say(f"{answer['message']}.")
