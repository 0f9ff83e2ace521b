"""The words that PostgreSQL accepts are those that the messages are made of: a new one is missing nowhere."""

import re
from pathlib import Path
from typing import get_args

import pytest

from signalbox.messages.base import Evidence, Outcome, ProcessKind, ProcessState, Status
from signalbox.messages.events import TaskCancelled
from signalbox.messages.verdicts import CANCELLED_ERROR, CancelVerdict, Verdict
from signalbox_agent.tasks import texts
from signalbox_api.auth.credential import Role

_SERVICES = Path(__file__).parents[2] / "services"
_RECORD = _SERVICES / "reconciler/signalbox_reconciler/migrations"
_ACCESS = _SERVICES / "api/signalbox_api/migrations"
_CHECK = re.compile(
    r"(?:CREATE|ALTER) TABLE (\w+)(?=\s[^;]*?CHECK|\s\()|(?:text[^,;]*?|CONSTRAINT \w+) CHECK \((\w+) IN \(([^)]*)\)"
)


def accepted(folder: Path) -> dict[str, set[str]]:
    """The words of each column that has a list of them, by `table.column`."""
    found: dict[str, set[str]] = {}
    table = ""
    for path in sorted(folder.glob("*.sql")):
        for created, column, words in _CHECK.findall(path.read_text()):
            table = created or table
            if column:
                found[f"{table}.{column}"] = set(re.findall(r"'(\w+)'", words))
    return found


@pytest.mark.parametrize(
    ("folder", "column", "words"),
    [
        (_RECORD, "tasks.status", set(get_args(Status))),
        (_RECORD, "tasks.outcome", set(get_args(Outcome))),
        (_RECORD, "task_logs.status", set(get_args(Status)) - {"pending"}),
        (_RECORD, "task_logs.outcome", set(get_args(Outcome))),
        (_RECORD, "processes.kind", set(get_args(ProcessKind))),
        (_RECORD, "processes.state", set(get_args(ProcessState))),
        (_RECORD, "processes.desired", set(get_args(ProcessState))),
        (_RECORD, "commands.state", set(get_args(Verdict)) | {"issued", "expired"}),
        (_RECORD, "cancels.state", set(get_args(CancelVerdict)) | {"issued"}),
        (_RECORD, "tasks.proof", set(get_args(Evidence))),
        (_RECORD, "task_logs.proof", set(get_args(Evidence))),
        (_RECORD, "hosts.proof", set(get_args(Evidence))),
        (_ACCESS, "users.role", set(get_args(Role))),
        (_ACCESS, "api_tokens.role", set(get_args(Role))),
    ],
)
def test_the_record_accepts_every_word_that_there_is_and_no_other(folder: Path, column: str, words: set[str]) -> None:
    assert accepted(folder)[column] == words


def test_the_agent_the_event_and_the_record_say_the_same_of_a_cancelled_task() -> None:
    (default,) = [
        value
        for name, value in zip(
            reversed(TaskCancelled.__struct_fields__), reversed(TaskCancelled.__struct_defaults__), strict=False
        )
        if name == "error"
    ]
    assert default == texts.REASON == CANCELLED_ERROR
