"""Merge of two rows of one key."""

from datetime import datetime
from typing import TypeVar

from signalbox.messages.events import HostSeen, ProcessChanged, WaitingCompared
from signalbox_reconciler.fold.rows import AnswerRow, HostRow, LogRow, TaskRow, WaitRow

Timed = TypeVar("Timed", HostRow, ProcessChanged, HostSeen, WaitingCompared)
Answer = TypeVar("Answer", bound=AnswerRow)


def merge_task(one: TaskRow, other: TaskRow) -> TaskRow:
    """The row that describes the task best; which run it shows is found when all are known."""
    better, worse = (other, one) if other.details_key > one.details_key else (one, other)
    better.created_at = min(better.created_at, worse.created_at)
    return better


def merge_log(one: LogRow, other: LogRow) -> LogRow:
    """The row that shows both; may be one of the two, changed."""
    newer, older = (other, one) if other.order > one.order else (one, other)
    newer.delivery = max(newer.delivery, older.delivery)
    newer.started_at = _least(newer.started_at, older.started_at)
    newer.pid = newer.pid or older.pid
    _adopt_cancel(newer, older)
    return newer


def merge_wait(one: WaitRow, other: WaitRow) -> WaitRow:
    """The later fact."""
    return other if other.order > one.order else one


def merge_answer(one: Answer, other: Answer) -> Answer:
    """The graver answer, then the later one."""
    return other if (other.weight, other.at) > (one.weight, one.at) else one


def latest(one: Timed, other: Timed) -> Timed:
    """The later row."""
    return other if other.at > one.at else one


def _adopt_cancel(row: LogRow, other: LogRow) -> None:
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
