"""How the cells are tried: all pools at the same time, and in each pool as much at once as it can."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager

from support.eventually import HANGS
from support.matrix.cells import (
    DOWN,
    KINDS,
    LASTS,
    LASTS_ALONE,
    LATER,
    PLAIN,
    POOLS,
    PREFETCHED,
    QUEUED,
    RETRY,
    RUNNING,
    SLOTS,
    STATES,
    STOPPED,
    Cell,
    Kind,
)
from support.matrix.field import Field

#: Seconds until what waits for its time, or for its retry, would run.
LATER_BY = 15.0


class Course:
    """One broker's part of the matrix."""

    def __init__(self, field: Field, kinds: Iterable[Kind], pools: Sequence[str] = POOLS) -> None:
        self._field = field
        self._kinds = tuple(kinds)
        self._pools = pools

    async def run(self) -> list[Cell]:
        """Try every cell; answers all of them, with what became of each in the end."""
        await _all(self._pool(pool) for pool in self._pools)
        await _all(self._stopped(pool) for pool in ("prefork", "gevent") if pool in self._pools)
        await self._down()
        await asyncio.sleep(LATER_BY)  # nothing tells that something will never run
        for cell in self._field.cells:
            await self._field.is_over(cell)
            self._field.look(cell)
        return sorted(self._field.cells, key=_place)

    def _cell(self, pool: str, state: str, kind: Kind = PLAIN) -> Cell:
        return Cell(self._field.broker, pool, state, kind)

    async def _pool(self, pool: str) -> None:
        kinds = [kind for kind in self._kinds if pool in kind.pools]
        alone = [kind for kind in kinds if kind.alone]
        if SLOTS[pool] == 1:
            for kind in kinds:
                await self._field.is_over(await self._running(pool, kind))
        else:
            await _all(self._running(pool, kind) for kind in kinds if not kind.alone)
            for kind in alone:
                await self._running(pool, kind)
        await self._waiting(pool)

    async def _running(self, pool: str, kind: Kind) -> Cell:
        cell = await self._field.send(self._cell(pool, RUNNING, kind), seconds=LASTS)
        await self._field.started(cell)
        await self._field.cancel(cell)
        self._field.free(cell.task_id)  # what goes on whatever is thrown
        return cell

    async def _waiting(self, pool: str) -> None:
        """What waits for its time, and what waits for its turn behind as many others as the worker can run."""
        field = self._field
        later = await field.send(self._cell(pool, LATER), seconds=0.0, countdown=LATER_BY)
        retry = await field.send(self._cell(pool, RETRY), seconds=LATER_BY, task="retries")
        await field.waits(later)
        await field.waits(retry, again=True)
        async with self._busy(pool):
            cells = [later, retry]
            if SLOTS[pool] > 1:  # a single one takes nothing from its queue while a task runs
                prefetched = await field.send(self._cell(pool, PREFETCHED), seconds=0.0)
                await field.waits(prefetched)
                cells.append(prefetched)
                for _ in range(2 * SLOTS[pool]):
                    await field.send(self._cell(pool, ""), seconds=0.0, counts=False)
            cells.append(await field.send(self._cell(pool, QUEUED), seconds=0.0))
            await _all(field.cancel(cell) for cell in cells)

    @asynccontextmanager
    async def _busy(self, pool: str) -> AsyncIterator[None]:
        """Every slot of the worker is taken while the body runs; a solo one, which answers only then, gets it back."""
        field, slots = self._field, SLOTS[pool]
        task, seconds = ("blocks", HANGS) if slots > 1 else ("plain", LASTS_ALONE)
        blockers = [
            await field.send(self._cell(pool, ""), seconds=seconds, task=task, counts=False) for _ in range(slots)
        ]
        await _all(field.started(blocker) for blocker in blockers)
        yield
        field.free(pool)

    async def _stopped(self, pool: str) -> None:
        """The worker's main process is stopped, and goes on once the cancel is answered."""
        cell = await self._field.send(self._cell(pool, STOPPED), seconds=LASTS)
        await self._field.recorded(cell, lambda row: row["status"] == "running", "running")
        main = await self._field.pid(pool)
        os.kill(main, signal.SIGSTOP)
        try:
            await self._field.cancel(cell)
        finally:
            os.kill(main, signal.SIGCONT)
        await self._field.is_over(cell)

    async def _down(self) -> None:
        """No worker is up; each, once it is, finds the cancelled task first, and then one that shows that it has."""
        field = self._field
        await field.stop_all()
        cells = [await field.send(self._cell(pool, DOWN), seconds=0.0) for pool in self._pools]
        followers = [await field.send(self._cell(pool, ""), seconds=0.0, counts=False) for pool in self._pools]
        await _all(field.cancel(cell) for cell in cells)
        await field.start_all()
        await _all(field.started(follower) for follower in followers)


def _place(cell: Cell) -> tuple[int, ...]:
    """Where a cell stands in the table."""
    return POOLS.index(cell.pool), STATES.index(cell.state), KINDS.index(cell.kind)


async def _all(work: Iterable[Awaitable[object]]) -> None:
    await asyncio.gather(*work)
