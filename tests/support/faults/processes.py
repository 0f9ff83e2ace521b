"""Faults of processes: killed, stopped by a signal, starved."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from support.faults.site import WORKERS, Site

Pick = Callable[[Site], Awaitable[list[int]]]
Means = Callable[[Site], AbstractAsyncContextManager[None]]
#: Loops that do nothing, for each core.
LOOPS = 4


def service(name: str) -> Pick:
    """One of Signalbox's services."""

    async def pick(site: Site) -> list[int]:
        return [site.service(name)]

    return pick


def process(*names: str) -> Pick:
    """The main processes of workers, or beat."""

    async def pick(site: Site) -> list[int]:
        return [await site.process(name) for name in names]

    return pick


async def pool_child(site: Site) -> list[int]:
    """A pool child that is at a task."""
    return [site.busy_child()]


async def controller_and_worker(site: Site) -> list[int]:
    """The controller, and right after it the main process of a worker."""
    return [site.service("controller"), await site.process("first")]


async def everything(site: Site) -> list[int]:
    """All services, workers and beat; the stores stay."""
    mains = [await site.process(name) for name in (*WORKERS, "beat")]
    return [*map(site.service, ("controller", "reconciler", "api")), *mains]


def killed(pick: Pick) -> Means:
    """They are killed; whoever supervises them starts them again."""

    @asynccontextmanager
    async def killed(site: Site) -> AsyncIterator[None]:
        _send(await pick(site), signal.SIGKILL)
        yield

    return killed


def frozen(pick: Pick) -> Means:
    """They stand still, and go on at the end."""

    @asynccontextmanager
    async def frozen(site: Site) -> AsyncIterator[None]:
        async with stopped_by_signal(*await pick(site)):
            yield

    return frozen


@asynccontextmanager
async def stopped_by_signal(*pids: int) -> AsyncIterator[None]:
    """SIGSTOP, and SIGCONT at the end."""
    _send(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        _send(pids, signal.SIGCONT)


def starved(pick: Pick, *, of: float = 0.9, period: float = 0.5) -> Means:
    """They stand still for this part of every period."""

    async def starve(pids: list[int]) -> None:
        while True:
            async with stopped_by_signal(*pids):
                await asyncio.sleep(of * period)
            await asyncio.sleep((1 - of) * period)

    @asynccontextmanager
    async def starved(site: Site) -> AsyncIterator[None]:
        starving = asyncio.create_task(starve(await pick(site)))
        try:
            yield
        finally:
            starving.cancel()
            with suppress(asyncio.CancelledError):
                await starving

    return starved


@asynccontextmanager
async def no_processor(_: Site) -> AsyncIterator[None]:
    """Other programs want every core, several times over."""
    count = LOOPS * (os.cpu_count() or 1)
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
