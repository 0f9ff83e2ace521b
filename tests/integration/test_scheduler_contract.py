"""What holds for beat with each scheduler: what is due is sent, whatever keeps it back, and is not sent again.

Each is the real one, in a thread and with a broker of its own; only the controller's leave to send is the test's.
"""

import asyncio
import atexit
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from time import CLOCK_BOOTTIME, clock_gettime
from typing import Any

import pytest
from celery import Celery
from celery.beat import PersistentScheduler
from redis.asyncio import Redis as Client

from signalbox.bus.connection import connect
from signalbox_agent.beat.schedule import LeasedSchedule
from support.apps import schedulers
from support.eventually import eventually
from support.stores.choose import a_redis
from support.stores.server import Redis

TASK = "some.task"


class Kind(ABC):
    """A scheduler, and a store in which it finds one entry, `nightly`, that is due: once an hour, or once."""

    @abstractmethod
    def prepare(self, app: Celery, folder: Path) -> None:
        """Have the entry due."""

    @abstractmethod
    def make(self, app: Celery, folder: Path) -> Any:
        """The scheduler, as a beat that begins has it."""

    def clean(self) -> None:  # noqa: B027 - most have nothing to do
        """Let go of what its thread has open."""


class Celerys(Kind):
    """Celery's own, with its file."""

    def prepare(self, app: Celery, folder: Path) -> None:
        scheduler = self.make(app, folder)
        scheduler.schedule["nightly"].last_run_at -= timedelta(hours=2)
        scheduler.close()

    def make(self, app: Celery, folder: Path) -> Any:
        app.conf.beat_schedule = {"nightly": {"task": TASK, "schedule": 3600.0}}
        return PersistentScheduler(app=app, schedule_filename=str(folder / "schedule"))


class Djangos(Kind):
    """django-celery-beat, with an entry that is sent once only."""

    def prepare(self, app: Celery, folder: Path) -> None:  # noqa: ARG002
        set_up()
        from django_celery_beat.models import PeriodicTask

        PeriodicTask.objects.all().delete()
        schedulers.add_once("nightly")

    def make(self, app: Celery, folder: Path) -> Any:  # noqa: ARG002
        from django_celery_beat.schedulers import DatabaseScheduler

        return DatabaseScheduler(app=app)

    def clean(self) -> None:
        from django.db import connections

        connections.close_all()


class Redbeats(Kind):
    """RedBeat."""

    def prepare(self, app: Celery, folder: Path) -> None:  # noqa: ARG002
        from celery.schedules import schedule
        from redbeat import RedBeatSchedulerEntry

        entry = RedBeatSchedulerEntry("nightly", TASK, schedule(3600.0, app=app), app=app)
        entry.save().reschedule(entry.last_run_at - timedelta(hours=2))

    def make(self, app: Celery, folder: Path) -> Any:  # noqa: ARG002
        from redbeat import RedBeatScheduler

        scheduler = RedBeatScheduler(app)
        scheduler.lock_key = None  # which the signal of a beat that begins would acquire
        return scheduler


@cache
def set_up() -> None:
    """Django, once for the process."""
    folder = tempfile.mkdtemp(prefix="signalbox-django-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    schedulers.set_up(Path(folder) / "beat.sqlite3")


class Ended(Exception):
    """A beat ended; SystemExit would end the test."""


class Permission:
    """What a controller may say, and what it is told."""

    leased = True

    def __init__(self) -> None:
        self.grants = True
        self.runs: tuple[int, dict[str, float]] | None = (1, {})
        self.notes: dict[str, float] = {}

    def may_send(self, seconds: float) -> bool:  # noqa: ARG002 - nothing to wait for
        return True

    def news(self) -> tuple[int, dict[str, float]] | None:
        runs, self.runs = self.runs, None
        return runs

    def ask(self, entry: str, fence: int) -> float:  # noqa: ARG002
        return clock_gettime(CLOCK_BOOTTIME) + 2.0 if self.grants else 0.0

    def sent(self, entry: str, at: float) -> None:
        self.notes[entry] = at


class Beat:
    """A beat in a thread of its own."""

    def __init__(self, kind: Kind, app: Celery, folder: Path, runs: dict[str, float] | None = None) -> None:
        self._kind, self._app, self._folder = kind, app, folder
        self._thread = ThreadPoolExecutor(1)
        self.permission = Permission()
        self.permission.runs = (1, runs or {})
        self.scheduler: Any = None
        #: Turns that were held back; and whether the process is told to end in the next one.
        self.held = 0
        #: What it waited for.
        self.reasons: list[str] = []
        self.ends = False

    async def run(self, function: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    async def begin(self) -> "Beat":
        def make() -> None:
            self.scheduler = self._kind.make(self._app, self._folder)
            LeasedSchedule(self.scheduler, self.permission, self._ticked, lambda _: None, self.reasons.append)  # type: ignore[arg-type]

        await self.run(make)
        return self

    def _ticked(self, pause: float, held: bool) -> None:  # noqa: ARG002
        self.held += held
        if held and self.ends:  # as Celery's own handler of TERM does it
            self.scheduler.close()
            raise SystemExit

    async def ticks(self, turns: int = 3) -> None:
        for _ in range(turns):
            await self.run(self._tick)

    def _tick(self) -> None:
        try:
            self.scheduler.tick()
        except SystemExit as error:
            raise Ended from error

    async def connect(self) -> None:
        """Have it know its broker, as after its first message."""
        await self.run(lambda: self.scheduler.producer)

    async def is_held(self) -> None:
        before = self.held

        async def look() -> bool:
            return self.held > before

        await eventually(look, "a turn that was held back")

    async def end(self) -> None:
        """Stop it, as TERM does."""
        await self.run(self.scheduler.close)
        await self.kill()

    async def kill(self) -> None:
        await self.run(self._kind.clean)
        self._thread.shutdown()


class Site:
    """A store, a broker, and beats one after the other."""

    def __init__(self, kind: Kind, app: Celery, folder: Path, broker: Redis, queue: Client) -> None:
        self.kind, self.app, self.folder, self.broker, self._queue = kind, app, folder, broker, queue

    async def beat(self, *, runs: dict[str, float] | None = None, folder: Path | None = None) -> Beat:
        return await Beat(self.kind, self.app, folder or self.folder, runs).begin()

    async def sent(self) -> int:
        return int(await self._queue.llen("celery"))


@asynccontextmanager
async def a_site(kind: Kind, folder: Path, store: Redis) -> AsyncIterator[Site]:
    async with a_redis(folder / "broker") as broker:
        queue = connect(broker.url)
        with Celery(broker=broker.url, set_as_current=False) as app:
            app.conf.update(redbeat_redis_url=store.url_of(2), result_expires=None, task_publish_retry=False)
            app.conf.update(beat_max_loop_interval=5, timezone="UTC")
            preparing = Beat(kind, app, folder)
            await preparing.run(lambda: kind.prepare(app, folder))
            await preparing.kill()
            yield Site(kind, app, folder, broker, queue)
        await queue.aclose()


KINDS = [Celerys(), Djangos(), Redbeats()]


def name_of(kind: Kind) -> str:
    return type(kind).__name__


@pytest.fixture(params=KINDS, ids=name_of)
async def site(request: pytest.FixtureRequest, tmp_path: Path, valkey: Redis) -> AsyncIterator[Site]:
    async with a_site(request.param, tmp_path, valkey) as one:
        yield one


async def test_what_may_not_be_sent_stays_due_for_whoever_comes_next(site: Site) -> None:
    first = await site.beat()
    first.permission.grants = False
    await first.ticks()
    await first.end()
    assert first.held == 3
    assert await site.sent() == 0
    second = await site.beat()
    await second.ticks()
    await second.end()
    assert await site.sent() == 1


async def test_what_was_sent_before_a_kill_is_not_sent_again(site: Site, tmp_path: Path) -> None:
    first = await site.beat()
    await first.ticks()
    await first.kill()
    assert await site.sent() == 1
    (tmp_path / "another host").mkdir()
    second = await site.beat(runs=first.permission.notes, folder=tmp_path / "another host")
    await second.ticks()
    await second.end()
    assert await site.sent() == 1


@pytest.mark.parametrize("begun", [True, False], ids=["after it has begun", "from the beginning"])
async def test_what_falls_due_while_the_broker_is_away_is_sent_once_when_it_is_back(site: Site, begun: bool) -> None:
    beat = await site.beat()
    if begun:
        await beat.connect()
    await site.broker.stop()
    ticking = asyncio.create_task(beat.ticks(1))
    await beat.is_held()
    assert beat.permission.notes == {}
    await site.broker.start()
    await ticking
    await beat.ticks()
    await beat.end()
    assert await site.sent() == 1
    assert beat.reasons == [
        f"its broker is away; {'nightly' if begun else 'what falls due'} is sent as soon as that is back"
    ]


# RedBeat marks an entry in Redis before it sends it.
@pytest.mark.parametrize("site", KINDS[:2], ids=name_of, indirect=True)
async def test_a_beat_that_is_stopped_while_the_broker_is_away_leaves_what_is_due_to_the_next_one(site: Site) -> None:
    first = await site.beat()
    first.ends = True
    await first.connect()
    await site.broker.stop()
    with pytest.raises(Ended):
        await first.ticks(1)
    await first.kill()
    await site.broker.start()
    second = await site.beat()
    await second.ticks()
    await second.end()
    assert await site.sent() == 1
