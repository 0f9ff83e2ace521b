"""The service: composition root of a reconciler."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from functools import partial

from redis.asyncio import Redis

from signalbox.bus.connection import connect
from signalbox.errors import SettingsError
from signalbox.postgres.migrate import migrate_when_up
from signalbox.postgres.online import keep_online, migrate_online_when_up
from signalbox.postgres.pool import PLANNED_ONCE, Database, open_database
from signalbox.service import background, run_all
from signalbox.settings import Settings
from signalbox_reconciler.audit import command_feed
from signalbox_reconciler.heartbeat import Heartbeat
from signalbox_reconciler.intake import event_feed
from signalbox_reconciler.intents import Intents
from signalbox_reconciler.partitions.conversion import convert_when_alone
from signalbox_reconciler.partitions.indexes import complete_when_up, keep_complete
from signalbox_reconciler.retention.loop import Retention
from signalbox_reconciler.retention.rules import Keep
from signalbox_reconciler.sweep import Sweep
from signalbox_reconciler.trail import Trail

log = logging.getLogger(__name__)

#: The name under which our migrations are recorded, and the package that holds them.
SERVICE, MIGRATIONS = "reconciler", "signalbox_reconciler.migrations"
#: The same of what is made while the record is written.
ONLINE_SERVICE, ONLINE_MIGRATIONS = "reconciler-online", "signalbox_reconciler.online"
#: One each for intake, audit, sweep, heartbeat, retention, indexes and the trail, and one to spare.
CONNECTIONS = 8


@asynccontextmanager
async def reconciler(settings: Settings) -> AsyncIterator[None]:
    """Run a reconciler for the duration of the block; PostgreSQL and Redis may start later, and restart.

    Raises:
        SettingsError: SIGNALBOX_DATABASE_URL is not set.
        MigrationError: the tables cannot be brought up to date.
    """
    async with open_record(settings) as database, aclosing(connect(settings.redis_url)) as redis:

        async def work() -> None:
            await migrate_when_up(database, SERVICE, MIGRATIONS)
            await convert_when_alone(database)
            await _reconcile(settings, redis, database)

        async with background(work):
            yield


async def migrate_only(settings: Settings, within: float) -> None:
    """Bring the tables up to date.

    Raises:
        DatabaseUnavailable: PostgreSQL cannot be used `within` so many seconds; the text says why.
        MigrationError: the tables cannot be brought up to date.
    """
    async with open_record(settings) as database:
        await migrate_when_up(database, SERVICE, MIGRATIONS, within)
        await convert_when_alone(database)
        await complete_when_up(database)
        await migrate_online_when_up(database, ONLINE_SERVICE, ONLINE_MIGRATIONS)


@asynccontextmanager
async def open_record(settings: Settings) -> AsyncIterator[Database]:
    """The connection pool of the record."""
    if not settings.database_url:
        raise SettingsError(
            "SIGNALBOX_DATABASE_URL is not set; set it to the address of PostgreSQL,"
            " as in postgresql://user:password@host:5432/signalbox"
        )
    async with open_database(
        settings.database_url, connections=CONNECTIONS, application="signalbox-reconciler", options=PLANNED_ONCE
    ) as database:
        yield database


async def _reconcile(settings: Settings, redis: Redis, database: Database) -> None:
    member = f"{settings.hostname}-{os.getpid()}"
    intents = Intents(redis, database, settings.remember_cancelled)
    commands = command_feed(redis, database, member, settings.key, intents)
    events = event_feed(redis, database, member, intents, lambda: commands.read_at)
    sweep = Sweep(
        redis,
        database,
        lambda: events.caught_up_since,
        intents,
        lost_after=settings.lost_after,
        forget_after=settings.forget_after,
        remember_cancelled=settings.remember_cancelled,
    )
    log.info("ready: %s writes the record", member)
    keep: Keep = {
        "completed": timedelta(seconds=settings.keep_completed),
        "failed": timedelta(seconds=settings.keep_failed),
    }
    retention = Retention(database, keep, timedelta(seconds=settings.keep_commands))
    heartbeat = Heartbeat(redis, database, member)
    trail = Trail(database, settings)
    indexes = partial(keep_complete, database)
    online = partial(keep_online, database, ONLINE_SERVICE, ONLINE_MIGRATIONS)
    await run_all(events.run, commands.run, sweep.run, heartbeat.run, retention.run, trail.run, indexes, online)
