"""Merge of two rows of one key."""

from datetime import datetime
from typing import TypeVar

from signalbox.messages.events import HostSeen, ProcessChanged, WaitingCompared
from signalbox_reconciler.fold.rows import AnswerRow, HostRow, LogRow, TaskRow

Timed = TypeVar("Timed", HostRow, ProcessChanged, HostSeen, WaitingCompared)
Answer = TypeVar("Answer", bound=AnswerRow)


def merge_task(one: TaskRow, other: TaskRow) -> TaskRow:
    """The row that shows both; may be one of the two, changed."""
    newer, older = (other, one) if other.order > one.order else (one, other)
    _adopt_details(newer, older)
    newer.created_at = min(newer.created_at, older.created_at)
    if newer.run == older.run:
        newer.started_at = _least(newer.started_at, older.started_at)
        newer.pid = newer.pid or older.pid
        _adopt_cancel(newer, older)
    return newer


def merge_log(one: LogRow, other: LogRow) -> LogRow:
    """The row that shows both; may be one of the two, changed."""
    newer, older = (other, one) if other.order > one.order else (one, other)
    newer.started_at = _least(newer.started_at, older.started_at)
    newer.pid = newer.pid or older.pid
    return newer


def merge_answer(one: Answer, other: Answer) -> Answer:
    """The graver answer, then the later one."""
    return other if (other.weight, other.at) > (one.weight, one.at) else one


def latest(one: Timed, other: Timed) -> Timed:
    """The later row."""
    return other if other.at > one.at else one


_DETAILS = ("details_key", "name", "celery_name", "queue", "args", "kwargs", "eta", "root_id", "parent_id")


def _adopt_details(row: TaskRow, other: TaskRow) -> None:
    if other.details_key > row.details_key:
        for name in _DETAILS:
            setattr(row, name, getattr(other, name))


def _adopt_cancel(row: TaskRow, other: TaskRow) -> None:
    if row.cancel_signal is None and other.cancel_signal is None:
        return
    row.cancel_signal = "KILL" if "KILL" in {row.cancel_signal, other.cancel_signal} else "TERM"
    row.cancel_kill_at = (
        None if row.cancel_signal == "KILL" or row.over else _least(row.cancel_kill_at, other.cancel_kill_at)
    )


def _least(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return min(one, other)
