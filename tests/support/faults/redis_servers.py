"""Faults of a Redis: the bus, or Celery's broker."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import redis
from redis.asyncio import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from signalbox.bus import names
from signalbox_local.stores.valkey import EmbeddedValkey
from support.faults.processes import stopped_by_signal
from support.faults.repeating import repeating
from support.faults.site import QUEUE, UNACKED, Site

Pick = Callable[[Site], EmbeddedValkey]
#: Seconds for one command.
ANSWERS_WITHIN = 2.0
Means = Callable[[Site], AbstractAsyncContextManager[None]]


def bus(site: Site) -> EmbeddedValkey:
    """The bus."""
    return site.bus


def broker(site: Site) -> EmbeddedValkey:
    """Celery's broker, and its result backend."""
    return site.broker


def killed(pick: Pick) -> Means:
    """It is killed, and started again at the end."""
    return _away(lambda site: pick(site).kill(), pick)


def stopped(pick: Pick) -> Means:
    """It is stopped, and started again at the end."""
    return _away(lambda site: pick(site).stop(), pick)


def _away(end: Callable[[Site], Awaitable[None]], pick: Pick) -> Means:
    @asynccontextmanager
    async def away(site: Site) -> AsyncIterator[None]:
        await end(site)
        try:
            yield
        finally:
            await pick(site).start()

    return away


def frozen(pick: Pick) -> Means:
    """It takes connections, and answers nothing."""

    @asynccontextmanager
    async def frozen(site: Site) -> AsyncIterator[None]:
        pid = pick(site).child.pid
        assert pid is not None
        async with stopped_by_signal(pid):
            yield

    return frozen


def doing(pick: Pick, act: Callable[[Redis], Awaitable[object]]) -> Means:
    """Something is done to it once, at the beginning."""

    @asynccontextmanager
    async def done(site: Site) -> AsyncIterator[None]:
        async with Redis.from_url(pick(site).url) as server:
            await act(server)
        yield

    return done


def full(pick: Pick) -> Means:
    """It refuses every write: there is no memory left."""

    @asynccontextmanager
    async def full(site: Site) -> AsyncIterator[None]:
        async with Redis.from_url(pick(site).url) as server:
            await server.config_set("maxmemory-policy", "noeviction")
            await server.config_set("maxmemory", "1mb")
            try:
                yield
            finally:
                await server.config_set("maxmemory", "0")

    return full


def cut(pick: Pick) -> Means:
    """All connections are closed, twice a second."""
    return _again_and_again(pick, "CLIENT KILL TYPE normal SKIPME yes", "CLIENT KILL TYPE pubsub SKIPME yes")


def without_scripts(pick: Pick) -> Means:
    """Its cache of scripts is emptied, twice a second, as by a restart."""
    return _again_and_again(pick, "SCRIPT FLUSH")


def _again_and_again(pick: Pick, *commands: str) -> Means:
    def give(site: Site) -> None:
        with redis.Redis.from_url(pick(site).url, socket_timeout=ANSWERS_WITHIN, retry=Retry(NoBackoff(), 0)) as client:
            for command in commands:
                with suppress(RedisError):
                    client.execute_command(*command.split())

    return repeating(lambda site: asyncio.to_thread(give, site), 0.5)


@asynccontextmanager
async def set_back(site: Site) -> AsyncIterator[None]:
    """The bus loses the last seconds: it starts with an older copy of its data."""
    folder = site.bus.data / "valkey"
    copy = site.bus.data / "copy"
    await asyncio.to_thread(shutil.copytree, folder, copy)
    try:
        yield
        await site.bus.kill()
        shutil.rmtree(folder)
        copy.rename(folder)
        await site.bus.start()
    finally:
        shutil.rmtree(copy, ignore_errors=True)


async def emptied(server: Redis) -> None:
    """Everything in it is gone."""
    await server.flushall()


async def purged(server: Redis) -> None:
    """Its queue is emptied, as by `celery purge`."""
    await server.delete(QUEUE)


async def forgotten(server: Redis) -> None:
    """What workers hold is emptied."""
    await server.delete(UNACKED, f"{UNACKED}_index")


async def malformed(server: Redis) -> None:
    """Entries that nobody can read, and a list where a stream was."""
    for stream in (names.EVENTS, names.COMMANDS, names.CHANGES):
        for _ in range(20):
            await server.xadd(stream, {b"data": b"neither { nor ]"})
    for key in (names.EVENTS, names.PRESENCE):
        async with server.pipeline(transaction=True) as pipe:
            pipe.delete(key)
            pipe.rpush(key, "what nobody wrote")
            await pipe.execute()
