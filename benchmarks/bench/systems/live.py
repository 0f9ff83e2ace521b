"""Live changes of Signalbox, as a browser gets them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect

from bench.errors import BenchmarkError
from bench.systems.signalbox import Signalbox

_PATH = "/scheduler/live/"


@dataclass
class Live:
    """What came by the websocket of a tasks that somebody waits for."""

    waited: dict[str, "asyncio.Future[float]"] = field(default_factory=dict)

    async def failed(self, task_id: str) -> float:
        """Wait until a task is shown as failed; when that came, on the clock of `perf_counter`."""
        self.waited[task_id] = asyncio.get_running_loop().create_future()
        try:
            return await self.waited[task_id]
        finally:
            del self.waited[task_id]

    async def read(self, socket: ClientConnection) -> None:
        """Take in what comes, until the connection ends."""
        async for text in socket:
            now = time.perf_counter()
            if any(task_id in str(text) for task_id in self.waited):
                self._take(json.loads(text).get("changes", ()), now)
        for future in self.waited.values():
            future.set_exception(BenchmarkError("the live connection was closed"))

    def _take(self, changes: list[dict[str, object]], now: float) -> None:
        for change in changes:
            row, future = change["row"], self.waited.get(str(change["key"]))
            failed = change["kind"] == "task" and isinstance(row, dict) and row["status"] == "failed"
            if failed and future is not None and not future.done():
                future.set_result(now)


@asynccontextmanager
async def live(system: Signalbox) -> AsyncIterator[Live]:
    """Open the websocket, and read it while the body runs."""
    changes = Live()
    url = system.run.plan.url.replace("http", "ws", 1) + _PATH
    headers = {"Authorization": f"Bearer {system.run.token}"}
    async with connect(url, additional_headers=headers, compression=None, proxy=None, max_size=None) as socket:
        reading = asyncio.create_task(changes.read(socket))
        try:
            yield changes
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
