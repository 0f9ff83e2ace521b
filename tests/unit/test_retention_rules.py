"""Which periods begin and which may go, by their ages and the settings."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox_reconciler.partitions.periods import FinishedStatus, Period
from signalbox_reconciler.retention.rules import PERIODS, SHORTEST, Keep, length, to_begin, to_drop

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
KEEP: Keep = {"completed": timedelta(days=30), "failed": timedelta(days=90)}


def period(number: int, days_ago: float, status: FinishedStatus | None = "completed") -> Period:
    return Period(period=number, status=status, begins=NOW - timedelta(days=days_ago))


FAILED = period(-2, 0, "failed")


@pytest.mark.parametrize(
    ("periods", "statuses"),
    [
        ([], ["completed", "failed"]),
        ([period(2, 0)], ["failed"]),
        ([period(2, 4.9), FAILED], []),
        ([period(2, 5), FAILED], ["completed"]),
        ([period(2, 9), period(3, 4), FAILED], []),
        ([period(3, 4), period(2, 9), FAILED], []),
        ([period(2, 0), period(-2, 14.9, "failed")], []),
        ([period(2, 0), period(-2, 15, "failed")], ["failed"]),
        ([period(1, 0, None)], ["completed", "failed"]),
        ([period(2, -1), FAILED], []),
    ],
)
def test_a_period_begins_when_the_present_one_has_lasted_a_sixth_of_what_is_kept(
    periods: list[Period], statuses: list[FinishedStatus]
) -> None:
    assert to_begin(periods, KEEP, NOW) == statuses


@pytest.mark.parametrize(
    ("periods", "due"),
    [
        ([], []),
        ([period(2, 1000)], []),
        ([period(2, 35), period(3, 29.9)], []),
        ([period(2, 35), period(3, 30)], [2]),
        ([period(2, 35), period(-2, 30, "failed")], []),
        ([period(2, 100), period(3, 60), period(4, 40), period(5, 5)], [2, 3]),
        ([period(5, 5), period(3, 60), period(2, 100), period(4, 40)], [2, 3]),
        ([period(-2, 200, "failed"), period(-3, 89, "failed")], []),
        ([period(-2, 200, "failed"), period(-3, 90, "failed")], [-2]),
        ([period(1, 89, None)], []),
        ([period(1, 90, None)], [1]),
    ],
)
def test_a_period_may_go_when_its_last_tasks_are_as_old_as_the_setting(periods: list[Period], due: list[int]) -> None:
    assert to_drop(periods, KEEP, NOW) == due


def test_however_short_tasks_are_kept_partitions_are_not_made_every_moment() -> None:
    assert length(timedelta(seconds=1)) == SHORTEST


@given(
    st.lists(st.timedeltas(timedelta(minutes=1), timedelta(days=40)), min_size=1, max_size=60),
    st.timedeltas(timedelta(hours=1), timedelta(days=400)),
)
def test_whenever_rounds_come_nothing_goes_too_early_and_little_stays_too_long(
    pauses: list[timedelta], kept: timedelta
) -> None:
    keep: Keep = {"completed": kept, "failed": kept}
    periods: list[Period] = []
    now, longest = NOW, max(pauses)
    for number, pause in enumerate(pauses):
        now += pause
        for status in to_begin(periods, keep, now):
            sign = 1 if status == "completed" else -1
            periods.append(Period(period=sign * (number + 2), status=status, begins=now))
        for due in to_drop(periods, keep, now):
            [next_begins] = [
                p.begins for p in periods if p.status == _status(due) and _follows(periods, due) == p.period
            ]
            assert now - next_begins >= kept
            periods = [p for p in periods if p.period != due]
        completed = [p for p in periods if p.status == "completed"]
        assert completed
        assert len(completed) <= PERIODS + 2
        assert now - completed[0].begins <= kept + length(kept) + 2 * longest


def _status(number: int) -> FinishedStatus:
    return "completed" if number > 0 else "failed"


def _follows(periods: list[Period], number: int) -> int:
    same = [p.period for p in periods if p.status == _status(number)]
    return same[same.index(number) + 1]
