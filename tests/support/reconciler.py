"""Reconcilers as processes, and hands for a test to use them: events and commands in, rows and changes out."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, cast

import asyncpg  # type: ignore[import-untyped]
import msgspec

from signalbox.bus import names
from signalbox.bus.connection import connect
from signalbox.bus.consumer import entries_of
from signalbox.bus.publisher import publish_events
from signalbox.errors import BusUnavailable
from signalbox.messages.codec import decode_receipt
from signalbox.messages.events import Event
from signalbox.messages.receipts import AnyReceipt
from signalbox.messages.views import Change
from support.eventually import HANGS, eventually
from support.stores.server import Redis

KEY = "a key for tests that is long enough to be one"
Json = dict[str, Any]


class Reconciler:
    """One process."""

    def __init__(self, environ: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as out:
            command = [sys.executable, "-m", "signalbox_reconciler"]
            self._process = subprocess.Popen(command, env=environ, stdout=out, stderr=out)

    @property
    def log(self) -> str:
        """What it said."""
        return self._log.read_text(encoding="utf-8")

    @property
    def pid(self) -> int:
        """Its pid."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it is still there."""
        return self._process.poll() is None

    async def says(self, text: str, *, within: float = HANGS) -> None:
        """Wait until its log has `text` in it."""

        async def look() -> bool:
            assert self.running, self.log
            return text in self.log

        await eventually(look, f"the reconciler says: {text}", within=within)

    def send(self, number: signal.Signals) -> None:
        """Signal it."""
        self._process.send_signal(number)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it, and wait for its end; its exit code."""
        self._process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for its end; its exit code."""
        return await asyncio.to_thread(self._process.wait, HANGS)


class Recording:
    """A bus, a record, and as many reconcilers between them as a test wants."""

    def __init__(self, redis: Redis, database_url: str, folder: Path) -> None:
        self.redis = connect(redis.url)
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")} | {
            "SIGNALBOX_REDIS_URL": redis.url,
            "SIGNALBOX_DATABASE_URL": database_url,
            "SIGNALBOX_KEY": KEY,
            "SIGNALBOX_LOG_LEVEL": "debug",
        }
        self.reconcilers: list[Reconciler] = []
        self._url, self._folder = database_url, folder
        self._position = b"0"

    async def start(self, **environ: str) -> Reconciler:
        """Start one more, and wait until it is ready."""
        reconciler = self.launch(**environ)
        await reconciler.says("ready")
        return reconciler

    def launch(self, **environ: str) -> Reconciler:
        """Start one more."""
        log = self._folder / f"reconciler-{len(self.reconcilers)}.log"
        self.reconcilers.append(Reconciler(self.environ | environ, log))
        return self.reconcilers[-1]

    async def tell(self, *events: Event) -> None:
        """Put events on the bus, in one go; our own connection may have broken since the last time."""

        async def publish() -> bool:
            try:
                await publish_events(self.redis, events)
            except BusUnavailable as error:
                raise AssertionError(str(error)) from error
            return True

        await eventually(publish, "events are published")

    async def tell_many(self, batches: Iterable[Iterable[Event]]) -> None:
        """Put batches of events on the bus, one after the other."""
        for batch in batches:
            await publish_events(self.redis, batch)

    async def rows(self, query: str, *arguments: object) -> list[Json]:
        """Ask the record."""
        connection = await asyncpg.connect(self._url, timeout=5.0)
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    async def shows(self, query: str, *arguments: object, within: float = HANGS) -> Json:
        """The first row that the record answers, as soon as there is one."""

        async def look() -> Json | None:
            rows = await self.rows(query, *arguments)
            return rows[0] if rows else None

        return await eventually(look, f"the record shows: {query} {arguments}", within=within)

    async def task(self, status: str, task_id: str = "t1", *, within: float = HANGS) -> Json:
        """A task, as soon as it has that status."""
        query = "SELECT * FROM tasks WHERE task_id = $1 AND status = $2"
        return await self.shows(query, task_id, status, within=within)

    async def command(self, state: str, command_id: str = "c1") -> Json:
        """A line of the audit trail, as soon as it has that state."""
        return await self.shows("SELECT * FROM commands WHERE command_id = $1 AND state = $2", command_id, state)

    async def changed(self, kind: Literal["task", "log", "process", "host", "command"]) -> list[Json]:
        """What was published of rows of that kind since the last call; at least one."""

        async def look() -> list[Json]:
            entries = entries_of(await self.redis.xread({names.CHANGES: self._position}))
            changes = [msgspec.json.decode(entry.data, type=Change) for entry in entries]
            found = [msgspec.json.decode(change.row) for change in changes if change.kind == kind]
            if found:
                self._position = entries[-1].position
            return found

        return await eventually(look, f"a change of a {kind}")

    async def receipt(self, command_id: str) -> AnyReceipt:
        """The first receipt of a command."""

        async def look() -> AnyReceipt | None:
            entries = entries_of(await self.redis.xread({names.receipts(command_id): b"0"}))
            receipt: AnyReceipt | None = decode_receipt(entries[0].data) if entries else None
            return receipt

        return await eventually(look, f"a receipt of {command_id}")

    async def nothing_pending(self, stream: str = names.EVENTS) -> None:
        """Wait until everything on a stream was read and acknowledged."""

        async def look() -> bool:
            groups = await self.redis.xinfo_groups(stream)
            assert groups, "nobody reads yet"
            [group] = groups
            assert group["pending"] == 0, f"{group['pending']} are pending"
            assert not group["lag"], f"{group['lag']} are unread"
            return True

        await eventually(look, f"all of {stream} is acknowledged")

    async def dead(self, stream: str = names.EVENTS) -> dict[bytes, str]:
        """What was buried, and why."""
        entries = await self.redis.xrange(names.dead(stream))
        return {fields[b"data"]: fields[b"reason"].decode() for _, fields in cast("list[Any]", entries)}

    async def close(self) -> None:
        """End what still runs."""
        for reconciler in self.reconcilers:
            if reconciler.running:
                await reconciler.end(signal.SIGKILL)
        await self.redis.aclose()


@asynccontextmanager
async def a_recording(redis: Redis, database_url: str, folder: Path) -> AsyncIterator[Recording]:
    """Without any reconciler as yet."""
    recording = Recording(redis, database_url, folder)
    try:
        yield recording
    finally:
        await recording.close()
