"""Rules of retention: which periods begin and which may go, by their ages and the settings; pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import get_args

from signalbox_reconciler.partitions.periods import FinishedStatus, Period

#: Into so many periods the time is divided for which tasks of a status are kept: they go up to a sixth of it later.
#: With more of them, all would be looked through more often for an id, and for a list.
PERIODS = 6
#: However short tasks are kept: partitions are made and dropped no more often.
SHORTEST = timedelta(minutes=10)

#: How long finished tasks are kept, by status.
Keep = Mapping[FinishedStatus, timedelta]


def length(kept: timedelta) -> timedelta:
    """How long a period is of tasks that are kept so long."""
    return max(kept / PERIODS, SHORTEST)


def to_begin(periods: Sequence[Period], keep: Keep, now: datetime) -> list[FinishedStatus]:
    """The statuses whose present period has lasted long enough; there is one of each."""
    latest = {period.status: period.begins for period in sorted(periods, key=_begins)}
    return [
        status
        for status in get_args(FinishedStatus)
        if status not in latest or now - latest[status] >= length(keep[status])
    ]


def to_drop(periods: Sequence[Period], keep: Keep, now: datetime) -> list[int]:
    """The periods whose latest tasks have been kept long enough, the oldest first; never the present one of a status.

    What was there before there were periods goes when it has been kept as long as any status.
    """
    ordered = sorted(periods, key=_begins)
    due = []
    for place, period in enumerate(ordered):
        if period.status is None:
            ends, kept = period.begins, max(keep.values())
        else:
            later = (other.begins for other in ordered[place + 1 :] if other.status == period.status)
            if (found := next(later, None)) is None:
                continue
            ends, kept = found, keep[period.status]
        if now - ends >= kept:
            due.append(period.period)
    return due


def _begins(period: Period) -> tuple[datetime, int]:
    return period.begins, abs(period.period)
