"""Beat under a lease, with Celery's own scheduler: what it holds back is due again, what others sent is not."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from time import CLOCK_BOOTTIME, clock_gettime
from typing import Any

import pytest
from celery import Celery
from celery.beat import Scheduler
from celery.schedules import crontab

from signalbox_agent.beat.schedule import HOLD, LeasedSchedule, seconds
from signalbox_controller.beat_lease.holder import Expiry
from signalbox_controller.beat_lease.record import LeaseState


class Permission:
    """What a controller may say."""

    leased = True

    def __init__(self) -> None:
        self.may = True
        self.grants = True
        self.runs: tuple[int, dict[str, float]] | None = (1, {})
        self.asked: list[tuple[str, int]] = []
        self.notes: list[str] = []

    def may_send(self, seconds: float) -> bool:  # noqa: ARG002 - nothing to wait for
        return self.may

    def news(self) -> tuple[int, dict[str, float]] | None:
        runs, self.runs = self.runs, None
        return runs

    def ask(self, entry: str, fence: int) -> float:
        self.asked.append((entry, fence))
        return clock_gettime(CLOCK_BOOTTIME) + 60.0 if self.grants else 0.0

    def sent(self, entry: str, at: float) -> None:  # noqa: ARG002
        self.notes.append(entry)


class Beat:
    """A scheduler with one entry, a queue in memory, and what the controller was told."""

    def __init__(self, app: Celery) -> None:
        self.permission = Permission()
        self.scheduler = Scheduler(app=app)
        self.told: list[dict[str, Any]] = []
        #: Seconds until the next tick, of each that was not held back, and of all.
        self.pauses: list[float] = []
        self.turns: list[float] = []
        self.waits: list[str] = []
        LeasedSchedule(self.scheduler, self.permission, self._ticked, self.told.append, self.waits.append)  # type: ignore[arg-type]
        self._queue = app.connection_for_read().SimpleQueue(app.conf.task_default_queue)

    def _ticked(self, pause: float, held: bool) -> None:
        self.turns.append(pause)
        self.pauses += [] if held else [pause]

    def sent(self) -> int:
        return int(self._queue.qsize())


@pytest.fixture
def a_beat() -> Iterator[Callable[[Any], Beat]]:
    with Celery(broker="memory://", set_as_current=False) as app:
        app.conf.task_default_queue = uuid.uuid4().hex  # what is in memory outlives the application

        def make(schedule: Any) -> Beat:
            app.conf.beat_schedule = {"nightly": {"task": "some.task", "schedule": schedule}}
            return Beat(app)

        yield make


def overdue(beat: Beat) -> Any:
    entry = beat.scheduler.schedule["nightly"]
    entry.last_run_at -= timedelta(hours=2)
    return entry


def test_nothing_is_looked_at_while_another_may_send(a_beat: Callable[[Any], Beat]) -> None:
    beat = a_beat(3600.0)
    overdue(beat)
    beat.permission.may = False
    assert beat.scheduler.tick() == 0
    assert (beat.sent(), beat.permission.asked, beat.pauses) == (0, [], [])
    assert beat.turns, "or it would be taken for hung"


def test_what_is_granted_is_sent_once(a_beat: Callable[[Any], Beat]) -> None:
    beat = a_beat(3600.0)
    overdue(beat)
    beat.scheduler.tick()
    assert beat.scheduler.tick() > HOLD
    assert (beat.sent(), beat.permission.asked) == (1, [("nightly", 1)])
    assert beat.permission.notes == ["nightly"]


def test_what_is_refused_is_due_again(a_beat: Callable[[Any], Beat]) -> None:
    beat = a_beat(3600.0)
    entry = overdue(beat)
    beat.permission.grants = False
    assert beat.scheduler.tick() == HOLD
    assert beat.scheduler.schedule["nightly"] is entry
    assert entry.total_run_count == 0
    assert (beat.sent(), beat.pauses, beat.turns, beat.permission.notes) == (0, [], [HOLD], [])
    beat.permission.grants = True
    beat.scheduler.tick()
    assert beat.sent() == 1


def test_what_another_host_has_sent_is_not_due(a_beat: Callable[[Any], Beat]) -> None:
    beat = a_beat(3600.0)
    overdue(beat)
    beat.permission.runs = (7, {"nightly": datetime.now(UTC).timestamp() - 60.0, "of another version": 1.0})
    assert 0 < beat.scheduler.tick() <= 3600.0
    assert (beat.sent(), beat.permission.asked) == (0, [])


def test_what_became_due_while_nobody_could_send_is_sent(a_beat: Callable[[Any], Beat]) -> None:
    beat = a_beat(crontab())  # every minute
    began = datetime.now(UTC) - timedelta(minutes=2)
    beat.permission.runs = (7, {"nightly": began.timestamp()})
    beat.scheduler.tick()
    assert (beat.sent(), beat.permission.asked) == (1, [("nightly", 7)])


def test_the_next_holder_is_told_from_when_on_entries_count(a_beat: Callable[[Any], Beat]) -> None:
    beat = a_beat(3600.0)
    since = seconds(beat.scheduler.schedule["nightly"].last_run_at)
    beat.scheduler.tick()
    assert beat.told == [{"type": "begin", "fence": 1, "runs": {"nightly": since}, "lock": ""}]


def test_what_celery_cannot_send_for_another_reason_than_its_broker_is_dropped_as_celery_does(
    a_beat: Callable[[Any], Beat],
) -> None:
    beat = a_beat(3600.0)
    overdue(beat).args = (object(),)
    beat.scheduler.tick()
    assert beat.scheduler.tick() > HOLD
    assert (beat.sent(), beat.permission.notes) == (0, [])


def test_a_lease_is_abandoned_when_it_did_not_change_for_so_long_while_it_could_be_seen() -> None:
    expiry, held = Expiry(5.0), LeaseState("them", "web-02", 3, 17)
    renewed = LeaseState("them", "web-02", 3, 18)
    assert not expiry.expired(held, 100.0)
    assert not expiry.expired(held, 104.9)
    assert not expiry.expired(renewed, 105.1)
    assert not expiry.expired(renewed, 110.0)
    expiry.forget()
    assert not expiry.expired(renewed, 111.0)
    assert expiry.expired(renewed, 116.0)
