"""Ids of cancelled tasks, which must never run: cancelled by a command to this host, or read in Redis from another.

They are on this host's disk, so that a worker refuses them without Redis.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import datetime

from redis.asyncio import Redis
from redis.exceptions import RedisError

from signalbox.bus.cancelled import LIMIT, Follower, remember, until
from signalbox.bus.consumer import Consumer
from signalbox.errors import BadSignature, BusUnavailable, UnreadableMessage
from signalbox.messages.codec import decode_command, verify
from signalbox.messages.commands import CancelTask, CancelTasks
from signalbox.service import Backoff
from signalbox_controller.state.journal import Journal

log = logging.getLogger(__name__)

#: Seconds that a starting controller waits for a Redis that says nothing; Celery must not wait for longer.
LOAD_WITHIN = 3.0
#: Seconds between two reads of the ids that other hosts have added.
EVERY = 1.0
#: Seconds between the id of a cancelled task and its refusal: the command itself, with its grace, may still arrive.
COMMAND_WITHIN = 1.0


class CancelledIds:
    """Ids that are refused on this host; kept equal with those of all other hosts through Redis."""

    def __init__(self, redis: Redis, journal: Journal, seconds: float) -> None:
        """A task is refused for `seconds` after its cancel."""
        self._redis = redis
        self._journal = journal
        self._seconds = seconds
        self._follower = Follower(redis)
        #: Called with the ids that other hosts have added.
        self.on_new: Callable[[Sequence[str]], None] = lambda _: None
        #: Ids that Redis does not have yet.
        self._unsaved: dict[str, int] = {}
        self._saving = asyncio.Lock()
        self._wake = asyncio.Event()
        #: Read in Redis; their command has not arrived here yet.
        self._uncommanded: set[str] = set()
        self._well = True

    def ids(self) -> list[str]:
        """All ids that are refused."""
        return self._journal.keys()

    def add(self, task_ids: Collection[str], since: datetime) -> None:
        """Refuse the tasks of a command that was given at `since` and is being carried out here."""
        untils = dict.fromkeys(task_ids, until(since, self._seconds))
        self._journal.remember(untils)
        self._uncommanded.difference_update(task_ids)
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

    async def load(self, pending: AsyncIterator[tuple[Collection[str], datetime]]) -> None:
        """Read all ids before any worker is launched; without Redis the ids on disk have to do.

        `pending` are the tasks of cancels that this host has yet to read; see `pending_cancels`.
        """
        try:
            async with asyncio.timeout(LOAD_WITHIN) as limit:

                def postpone() -> None:
                    limit.reschedule(asyncio.get_running_loop().time() + LOAD_WITHIN)

                await self._read_all(postpone)
                async for task_ids, since in pending:
                    self.add(task_ids, since)
                    postpone()
        except (BusUnavailable, RedisError, TimeoutError) as error:
            log.warning("What other hosts have cancelled is not known yet: %s", str(error) or "Redis is too slow")

    async def run(self) -> None:
        """Read what other hosts add, and write what Redis lacks, until cancelled."""
        backoff, loop = Backoff(first=0.05, most=2.0), asyncio.get_running_loop()
        due = 0.0
        while True:
            try:
                await self.in_redis()
                if loop.time() >= due:
                    self._refuse_later(await self._read_added())
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

    async def _read_added(self) -> list[str]:
        added = await self._follower.added()
        return await self._read_all() if added is None else self._journal.remember(added)

    async def _read_all(self, on_page: Callable[[], None] = lambda: None) -> list[str]:
        """Read all ids in Redis, write those that it lacks, and return those that are new here."""
        theirs = await self._follower.everything(on_page)
        if len(theirs) < LIMIT:  # or it lacks what there was no room for
            ours = self._journal.expiries()
            self._unsaved |= {task_id: at for task_id, at in ours.items() if theirs.get(task_id, 0) < at}
            await self.in_redis()
        return self._journal.remember(theirs)

    def _refuse_later(self, task_ids: Sequence[str]) -> None:
        if task_ids:
            self._uncommanded.update(task_ids)
            asyncio.get_running_loop().call_later(COMMAND_WITHIN, self._refuse, task_ids)

    def _refuse(self, task_ids: Sequence[str]) -> None:
        uncommanded = [task_id for task_id in task_ids if task_id in self._uncommanded]
        self._uncommanded.difference_update(uncommanded)
        if uncommanded:
            log.info("%d tasks that were cancelled elsewhere are refused here, too", len(uncommanded))
            self.on_new(uncommanded)

    def _note(self, *, well: bool, why: Exception | None = None) -> None:
        if well != self._well:
            self._well = well
            if well:
                log.info("What other hosts cancel is known again")
            else:
                log.warning("What other hosts cancel is not known for now: %s", why)


async def pending_cancels(consumer: Consumer, key: str) -> AsyncIterator[tuple[Collection[str], datetime]]:
    """Yield the tasks of each cancel that this host has not read yet, and the time of the cancel; nothing is taken.

    Forged and unreadable entries are passed over: the dispatcher refuses them when it reads them.

    Raises:
        BusUnavailable: Redis is away.
    """
    async for entry in consumer.ahead():
        try:
            command = decode_command(entry.data)
            verify(key, entry.data, entry.signature)
        except (UnreadableMessage, BadSignature):
            continue
        match command:
            case CancelTask():
                yield (command.task_id,), command.issued_at
            case CancelTasks():
                yield command.task_ids, command.issued_at
            case _:
                pass
