"""The tasks that must never run here: what this host was told itself, and what it reads of all others in Redis.

They are on this host's disk, so that neither Redis nor anybody else is needed to refuse them.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial

from redis.asyncio import Redis
from redis.exceptions import RedisError

from signalbox.bus.cancelled import LIMIT, Follower, remember, until
from signalbox.errors import BusUnavailable
from signalbox.service import Backoff
from signalbox_controller.state.journal import Journal

log = logging.getLogger(__name__)

#: Seconds that a starting controller waits for a Redis that says nothing; Celery must not wait for longer.
SILENCE = 3.0
#: Seconds between two looks at what others have added.
EVERY = 1.0
#: Seconds that the command itself gets to arrive, which knows how long its task may take to end.
COMMAND_WITHIN = 1.0


class Refusals:
    """Ids that are refused here; follows those of all other hosts, and tells them ours."""

    def __init__(self, redis: Redis, journal: Journal, seconds: float) -> None:
        """A task is refused for `seconds` after its cancel."""
        self._redis = redis
        self._journal = journal
        self._seconds = seconds
        self._follower = Follower(redis)
        self._on_new: Callable[[Sequence[str]], None] = lambda _: None
        #: What Redis does not have yet.
        self._unsaved: dict[str, int] = {}
        self._saving = asyncio.Lock()
        self._wake = asyncio.Event()
        #: Read in Redis, and not commanded here as yet.
        self._strange: set[str] = set()
        self._well = True

    def on_new(self, tell: Callable[[Sequence[str]], None]) -> None:
        """Call `tell` with what others have added."""
        self._on_new = tell

    def ids(self) -> list[str]:
        """All of them."""
        return self._journal.keys()

    def add(self, task_ids: Collection[str], since: datetime) -> None:
        """They were cancelled, by a command that was given at `since` and is being carried out here."""
        untils = dict.fromkeys(task_ids, until(since, self._seconds))
        self._journal.remember(untils)
        self._strange.difference_update(task_ids)
        self._unsaved |= untils
        self._wake.set()

    async def on_disk(self) -> None:
        """Return when the disk has all that was added."""
        await self._journal.sync()

    async def in_redis(self) -> None:
        """Return when Redis, too, has all that was added.

        Raises:
            BusUnavailable: it is away; it gets them as soon as it is back.
        """
        async with self._saving:
            unsaved, self._unsaved = self._unsaved, {}
            try:
                await remember(self._redis, unsaved)
            except BaseException:
                self._unsaved = unsaved | self._unsaved
                raise

    async def load(self, ahead: AsyncIterator[tuple[Collection[str], datetime]]) -> None:
        """Read what is cancelled, before any worker is launched; without Redis what is on disk must do.

        `ahead` are the tasks of commands that this host has yet to read, each with the time of its cancel.
        """
        try:
            async with asyncio.timeout(SILENCE) as limit:
                postpone = partial(_postpone, limit)
                await self._read_all(postpone)
                async for task_ids, since in ahead:
                    self.add(task_ids, since)
                    postpone()
        except (BusUnavailable, RedisError, TimeoutError) as error:
            log.warning("What other hosts have cancelled is not known yet: %s", str(error) or "Redis is too slow")

    async def run(self) -> None:
        """Follow the others, and tell them what they lack, for ever."""
        backoff, loop = Backoff(first=0.05, most=2.0), asyncio.get_running_loop()
        due = 0.0
        while True:
            try:
                await self.in_redis()
                if loop.time() >= due:
                    self._refuse_later(await self._look())
                    due = loop.time() + EVERY
            except (BusUnavailable, RedisError) as error:
                self._note(well=False, why=error)
                self._follower.lose()
                due = 0.0
                await backoff.pause()
                continue
            self._note(well=True)
            backoff.reset()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._wake.wait()
            self._wake.clear()

    async def _look(self) -> list[str]:
        added = await self._follower.added()
        return await self._read_all() if added is None else self._journal.remember(added)

    async def _read_all(self, on_page: Callable[[], None] = lambda: None) -> list[str]:
        """Take in all that Redis has, and give it what it lacks; answer what is new here."""
        theirs = await self._follower.everything(on_page)
        if len(theirs) < LIMIT:  # or it lacks what there was no room for
            self._unsaved |= _lacking(self._journal.untils(), theirs)
            await self.in_redis()
        return self._journal.remember(theirs)

    def _refuse_later(self, task_ids: Sequence[str]) -> None:
        if task_ids:
            self._strange.update(task_ids)
            asyncio.get_running_loop().call_later(COMMAND_WITHIN, self._refuse, task_ids)

    def _refuse(self, task_ids: Sequence[str]) -> None:
        strange = [task_id for task_id in task_ids if task_id in self._strange]
        self._strange.difference_update(strange)
        if strange:
            log.info("%d tasks that were cancelled elsewhere are refused here, too", len(strange))
            self._on_new(strange)

    def _note(self, *, well: bool, why: Exception | None = None) -> None:
        if well != self._well:
            self._well = well
            if well:
                log.info("What other hosts cancel is known again")
            else:
                log.warning("What other hosts cancel is not known for now: %s", why)


def _postpone(limit: asyncio.Timeout) -> None:
    limit.reschedule(asyncio.get_running_loop().time() + SILENCE)


def _lacking(ours: Mapping[str, int], theirs: Mapping[str, int]) -> dict[str, int]:
    return {task_id: at for task_id, at in ours.items() if theirs.get(task_id, 0) < at}
