"""Ids of cancelled tasks, which must never run: cancelled by a command to this host, or read in Redis from another.

They are on this host's disk, so that a worker refuses them without Redis.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime
from math import inf

from redis.asyncio import Redis
from redis.exceptions import RedisError

from signalbox.bus.cancelled import LIMIT, Follower, release, released, remember, until
from signalbox.bus.consumer import Consumer
from signalbox.errors import BadSignature, BusUnavailable, UnreadableMessage
from signalbox.messages.codec import decode_command, verify
from signalbox.messages.commands import AllowTask, CancelTask, CancelTasks
from signalbox.service import Backoff
from signalbox_controller.state.journal import Journal

log = logging.getLogger(__name__)

#: Commands that say whether tasks may run.
Intent = CancelTask | CancelTasks | AllowTask

#: Seconds that a starting controller waits for a Redis that says nothing; Celery must not wait for longer.
LOAD_WITHIN = 3.0
#: Seconds between two reads of the ids that other hosts have added.
EVERY = 1.0
#: Seconds between the id of a cancelled task and its refusal: the command itself, with its grace, may still arrive.
COMMAND_WITHIN = 1.0


class CancelledIds:
    """Ids that are refused on this host; kept equal with those of all other hosts through Redis."""

    def __init__(self, redis: Redis, journal: Journal, allowed: Journal, seconds: float) -> None:
        """A task is refused for `seconds` after its cancel; `allowed` keeps the ids that were released since."""
        self._redis = redis
        self._journal = journal
        self._allowed = allowed
        self._seconds = seconds
        self._follower = Follower(redis)
        #: Called with the ids that other hosts have added.
        self.on_new: Callable[[Sequence[str]], None] = lambda _: None
        #: Called with the ids that may run again.
        self.on_allowed: Callable[[Sequence[str]], None] = lambda _: None
        #: Ids that Redis does not have yet.
        self._unsaved: dict[str, int] = {}
        self._unreleased: dict[str, int] = {}
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
        self._allowed.forget(dict.fromkeys(task_ids, inf))
        self._uncommanded.difference_update(task_ids)
        self._unsaved |= untils
        self._wake.set()

    def allowed(self) -> list[str]:
        """The ids that were released, and not cancelled again."""
        return self._allowed.keys()

    def allow(self, task_id: str, since: datetime) -> None:
        """Release an id, by a command that was given at `since`: what was cancelled before may run again."""
        void = until(since, self._seconds)
        self._unreleased[task_id] = max(void, self._unreleased.get(task_id, 0))
        self._release({task_id: void})
        self._wake.set()

    def _release(self, voids: Mapping[str, int]) -> None:
        for task_id, void in voids.items():
            if self._unsaved.get(task_id, void + 1) <= void:
                del self._unsaved[task_id]
        if known := self._journal.forget(voids):
            self._uncommanded.difference_update(known)
            self._allowed.remember({task_id: voids[task_id] for task_id in known})
            self.on_allowed(known)

    async def on_disk(self) -> None:
        """Return when the disk has all that was added and released."""
        await asyncio.gather(self._journal.sync(), self._allowed.sync())

    async def in_redis(self) -> None:
        """Return when Redis, too, has all that was added.

        Raises:
            BusUnavailable: it is away; it gets them as soon as it is back.
        """
        async with self._saving:
            unsaved, self._unsaved = self._unsaved, {}
            unreleased, self._unreleased = self._unreleased, {}
            try:
                await release(self._redis, unreleased)
                await remember(self._redis, unsaved)
            except BaseException:
                self._unsaved = unsaved | self._unsaved
                self._unreleased = unreleased | self._unreleased
                raise

    async def load(self, pending: AsyncIterator[Intent]) -> None:
        """Read all ids before any worker is launched; without Redis the ids on disk have to do.

        `pending` are the commands that this host has yet to read; see `pending_intents`.
        """
        try:
            async with asyncio.timeout(LOAD_WITHIN) as limit:

                def postpone() -> None:
                    limit.reschedule(asyncio.get_running_loop().time() + LOAD_WITHIN)

                await self._read_all(postpone)
                async for command in pending:
                    self._take(command)
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
        if added is None:
            return await self._read_all()
        self._release({task_id: -at for task_id, at in added.items() if at < 0})
        return self._journal.remember({task_id: at for task_id, at in added.items() if at > 0})

    def _take(self, command: Intent) -> None:
        match command:
            case CancelTask():
                self.add((command.task_id,), command.issued_at)
            case CancelTasks():
                self.add(command.task_ids, command.issued_at)
            case AllowTask():
                self.allow(command.task_id, command.issued_at)

    async def _read_all(self, on_page: Callable[[], None] = lambda: None) -> list[str]:
        """Read all ids in Redis, write those that it lacks, and return those that are new here."""
        theirs = await self._follower.everything(on_page)
        if len(theirs) < LIMIT:  # or it lacks what there was no room for
            lacking = {task_id: at for task_id, at in self._journal.expiries().items() if theirs.get(task_id, 0) < at}
            self._release(await released(self._redis, lacking))
            ours = self._journal.expiries()
            self._unsaved |= {task_id: ours[task_id] for task_id in lacking if task_id in ours}
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


async def pending_intents(consumer: Consumer, key: str) -> AsyncIterator[Intent]:
    """Yield each cancel and each release that this host has not read yet; nothing is taken.

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
        if isinstance(command, Intent):
            yield command
