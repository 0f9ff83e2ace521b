"""A whole Signalbox with one worker of each pool, and what a cell needs done there."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from celery import Celery

from support.eventually import eventually
from support.matrix.cells import ALL_POOLS, Cell
from support.stores.databases import a_database
from support.stores.server import Postgres, Redis
from support.system import System, a_system

#: Seconds that a cancel waits for its proof.
WAIT = 9.0

_APP = """\
[apps.stubborn]
app = "stubborn"
directory = "{folder}"
[apps.stubborn.environment]
STUBBORN_BROKER = "{broker}"
STUBBORN_RESULTS = "{results}"
STUBBORN_DIARY = "{diary}"
"""
_WORKER = """\
[[apps.stubborn.workers]]
name = "{pool}"
pool = "{pool}"
queues = ["{pool}"]
concurrency = {slots}
kill_after = 1.0
"""


class Field:
    """Sends, cancels and looks."""

    def __init__(self, broker: str, system: System, celery: Celery, diary: Path) -> None:
        """`broker` is its name; `celery` knows its address."""
        self.broker = broker
        self.cells: list[Cell] = []
        self._system = system
        self._celery = celery
        self._diary = diary

    async def send(
        self, cell: Cell, *, seconds: float, task: str = "", countdown: float | None = None, counts: bool = True
    ) -> Cell:
        """Send the task of a cell to the worker of its pool; one that does not count is there to keep it busy."""
        arguments = {"seconds": seconds, **cell.kind.arguments}
        name = f"stubborn.{task or cell.kind.task}"
        options: dict[str, Any] = {"kwargs": arguments, "queue": cell.pool, "countdown": countdown}
        cell.task_id = str((await asyncio.to_thread(self._celery.send_task, name, **options)).id)
        if counts:
            self.cells.append(cell)
        return cell

    def free(self, name: str) -> None:
        """End the tasks `blocks` of the pool of this name, or the task `clings` of this id."""
        (self._diary / f"{name}.free").touch()

    async def cancel(self, cell: Cell) -> None:
        """Cancel it, and note the answer and what lived when it came."""
        asked = time.monotonic()
        answer = await self._call("POST", f"/scheduler/cancel-task/{cell.task_id}/", json={"wait": WAIT})
        cell.took = time.monotonic() - asked
        self.look(cell)
        cell.http, cell.answer, cell.alive_then = answer.status_code, answer.json(), cell.alive

    def look(self, cell: Cell) -> None:
        """What it has written down, and what of it lives."""
        diary = self._diary / cell.task_id
        cell.diary = diary.read_text(encoding="ascii").splitlines() if diary.exists() else []
        cell.alive = [pid for pid in cell.own if _lives(pid)]

    async def started(self, cell: Cell) -> None:
        """Wait until its diary says so."""

        async def look() -> bool:
            self.look(cell)
            return cell.starts > 0

        await eventually(look, f"{cell.pool}: {cell.kind.words} starts")

    async def recorded(self, cell: Cell, what: Callable[[dict[str, Any]], bool], words: str) -> None:
        """Wait until its row in the record is so."""

        async def look() -> bool:
            cell.row = await self._system.task(cell.task_id) or {}
            return bool(cell.row) and what(cell.row)

        await eventually(look, f"{cell.broker}, {cell.pool}, {cell.state}: {cell.kind.words} is {words}")

    async def waits(self, cell: Cell, *, again: bool = False) -> None:
        """Wait until the record shows it as pending; `again` after a failed attempt."""

        def waiting(row: dict[str, Any]) -> bool:
            return row["status"] == "pending" and (not again or row["error"] or row["attempt"] > 1)

        await self.recorded(cell, waiting, "pending")

    async def is_over(self, cell: Cell) -> None:
        """Wait until the record shows that it has ended."""
        await self.recorded(cell, lambda row: row["status"] in {"completed", "failed"}, "over")

    async def pid(self, pool: str) -> int:
        """The main process of a worker."""
        status = (await self._call("GET", "/scheduler/celery-status/")).json()
        [found] = [one["pid"] for host in status["hosts"] for one in host["processes"] if one["name"] == pool]
        return int(found)

    async def stop_all(self) -> None:
        """Stop every worker at once."""
        (
            await self._call("POST", "/scheduler/stop-celery/", json={"mode": "immediate"}, timeout=60.0)
        ).raise_for_status()

    async def start_all(self) -> None:
        """Start every worker, and wait until all consume."""
        (await self._call("POST", "/scheduler/start-celery/", json={"wait": 50.0}, timeout=60.0)).raise_for_status()
        await self._system.celery_when("running")

    async def _call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """On a connection of its own: a server may close an old one at the very moment at which it is used again."""
        async with self._system.client() as api:
            return await api.request(method, path, **more)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@asynccontextmanager
async def a_field(folder: Path, postgres: Postgres, redis: Redis, *, name: str, broker: str) -> AsyncIterator[Field]:
    """Start all of it; `name` is what people call the broker at this address."""
    diary = folder / "diary"
    diary.mkdir(parents=True)
    results = redis.url_of(2)
    config = folder / "signalbox.toml"
    app = _APP.format(folder=Path(__file__).parents[1] / "apps", broker=broker, results=results, diary=diary)
    workers = (_WORKER.format(pool=pool.name, slots=pool.slots) for pool in ALL_POOLS)
    config.write_text(app + "".join(workers), encoding="utf-8")
    async with (
        a_database(postgres) as database,
        a_system(folder / "data", postgres, redis, database, config=config) as system,
    ):
        with Celery(broker=broker, set_as_current=False) as celery:
            yield Field(name, system, celery, diary)
