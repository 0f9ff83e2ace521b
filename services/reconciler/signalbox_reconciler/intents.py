"""Intents of cancels in Redis, where every controller reads them: written with the record, restored from it."""

import logging
from collections.abc import Iterable

from redis.asyncio import Redis

from signalbox.bus.cancelled import LIMIT, Follower, release, remember, until
from signalbox.postgres.pool import Connection, Database
from signalbox_reconciler.fold.commands import CommandRow
from signalbox_reconciler.store.allows import allows_of
from signalbox_reconciler.store.verdicts import intents, intents_of

log = logging.getLogger(__name__)


class Intents:
    """The tasks to be refused for `seconds` after their cancel, kept in Redis."""

    def __init__(self, redis: Redis, database: Database, seconds: float) -> None:
        self._redis = redis
        self._database = database
        self._seconds = seconds
        self._follower = Follower(redis)

    async def keep(self, connection: Connection, commands: Iterable[CommandRow]) -> None:
        """Have the tasks of these cancels refused everywhere, and those of releases no more; call it before the commit.

        Raises:
            BusUnavailable: Redis is unavailable.
        """
        commands = list(commands)
        if releases := [row.command_id for row in commands if row.allows]:
            voids = await allows_of(connection, releases)
            await release(self._redis, {task_id: until(at, self._seconds) for task_id, at in voids.items()})
        if cancels := [row.command_id for row in commands if row.task_ids]:
            since = await intents_of(connection, cancels)
            await remember(self._redis, {task_id: until(at, self._seconds) for task_id, at in since.items()})

    async def restore(self) -> None:
        """Write the intents again that are missing in a Redis that was emptied, restored from a backup, or is new.

        Raises:
            BusUnavailable, DatabaseUnavailable: try again later.
        """
        try:
            if await self._follower.added() is not None:
                return
            await self._follower.begin()
            async with self._database.connection() as connection:
                since = await intents(connection, self._seconds, LIMIT)
            await remember(self._redis, {task_id: until(at, self._seconds) for task_id, at in since.items()})
        except BaseException:
            self._follower.lose()
            raise
        if since:
            log.info("%d cancelled tasks are remembered in Redis", len(since))
