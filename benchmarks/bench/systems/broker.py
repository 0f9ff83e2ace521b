"""Broker that both sides share: one Valkey or Redis server, and a database of it for each application."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from celery import Celery
from redis.asyncio import Redis

from bench.errors import NotReached
from bench.systems.application import Side
from bench.systems.waiting import PATIENCE
from signalbox_local.stores.valkey import EmbeddedValkey

#: Remote control reaches every worker of a database: Flower must not find ours, and the controller not Flower's.
_DATABASES: dict[Side, int] = {"signalbox": 0, "flower": 2, "bare": 3, "events": 4}


def address(valkey: EmbeddedValkey, side: Side) -> str:
    """The broker of a side."""
    return valkey.url_of(_DATABASES[side])


@dataclass(frozen=True)
class Running:
    """A task that runs."""

    task_id: str
    pid: int
    #: Epoch, in seconds.
    started_at: float


@dataclass(frozen=True)
class Tasks:
    """Sends the tasks of `application` to the worker of one side, and reads what they note."""

    side: Side
    celery: Celery
    notes: Redis

    async def send(self, *names: str) -> list[str]:
        """Send tasks in this order; their ids."""
        return await asyncio.to_thread(lambda: list(map(self._send, names)))

    def _send(self, name: str) -> str:
        return str(self.celery.send_task(f"bench_app.{name}", queue=self.side, ignore_result=True).id)

    async def running(self) -> Running:
        """Wait for the next `hang` that starts."""
        return _running(await self._next(f"running:{self.side}"))

    async def running_already(self) -> Running | None:
        """The next `hang` that has started; None: there is no other."""
        found = await self.notes.lpop(f"running:{self.side}")
        return _running(found) if isinstance(found, str) else None

    async def hold(self) -> None:
        """Have the only child wait for `release`."""
        await self.notes.delete(f"times:{self.side}", f"release:{self.side}")
        await self.send("hold")
        await self._next(f"held:{self.side}")

    async def release(self) -> None:
        """Let the child go on."""
        await self.notes.rpush(f"release:{self.side}", 1)

    async def times(self) -> tuple[float, float]:
        """When the child went on, and when `stamp` ran; epoch, in seconds."""
        return float(await self._next(f"times:{self.side}")), float(await self._next(f"times:{self.side}"))

    async def _next(self, key: str) -> str:
        found = await self.notes.blpop([key], timeout=PATIENCE)
        if found is None:
            raise NotReached(f"no task of the worker {self.side} has noted {key} within {PATIENCE:g} s")
        return str(found[1])


def _running(note: str) -> Running:
    task_id, pid, started_at = note.split()
    return Running(task_id, int(pid), float(started_at))


@asynccontextmanager
async def tasks_of(valkey: EmbeddedValkey, *sides: Side) -> AsyncIterator[Iterable[Tasks]]:
    """Who sends tasks to these sides, in this order."""
    notes = Redis.from_url(valkey.url, socket_timeout=PATIENCE + 10, decode_responses=True)
    senders = [Celery(broker=address(valkey, side), set_as_current=False) for side in sides]
    try:
        yield [Tasks(side, sender, notes) for side, sender in zip(sides, senders, strict=True)]
    finally:
        for sender in senders:
            sender.close()
        await notes.aclose()
