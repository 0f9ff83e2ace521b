"""Service skeleton: start, run until a signal, stop within a deadline; background loops, jobs and pauses."""

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import uniform

from signalbox.errors import SignalboxError

log = logging.getLogger(__name__)


async def run(service: AbstractAsyncContextManager[object]) -> None:
    """Enter `service`, wait for SIGTERM or SIGINT, leave it.

    While leaving, a second Ctrl-C raises KeyboardInterrupt, for a person who will not wait. A second SIGTERM does
    nothing: the kernel sends one per thread of a parent that was killed (prctl(2), PR_SET_PDEATHSIG).
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with service:
        await stop.wait()
        loop.remove_signal_handler(signal.SIGINT)


def exit_code(program: str, main: Callable[[], None]) -> int:
    """Run the main function of a program; print its errors, one a line, and return the exit code."""
    code = 0
    try:
        main()
    except* SignalboxError as group:
        for error in _leaves(group):
            sys.stderr.write(f"{program}: {error}\n")
        code = 2
    return code


def _leaves(group: BaseExceptionGroup[SignalboxError]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


@asynccontextmanager
async def background(*loops: Callable[[], Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Run endless loops beside a body; cancel and await them when it ends, or end it when one of them fails."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(loop(), name=loop.__qualname__) for loop in loops]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
    except* asyncio.CancelledError:
        raise asyncio.CancelledError from None


class Jobs:
    """Jobs in the background, each of which runs to its end; a failure is logged, and does not touch the others."""

    def __init__(self, owner: str) -> None:
        """`owner` is named in the log."""
        self._owner = owner
        #: The event loop itself holds no strong reference to a task.
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, job: Coroutine[None, None, None]) -> None:
        """Run `job` beside everything else."""
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s: our own code failed", self._owner, exc_info=error)


class Backoff:
    """Backoff: growing pauses with jitter between tries; durations in seconds."""

    def __init__(self, first: float = 0.1, most: float = 5.0) -> None:
        self._first, self._most = first, most
        self._next = first

    def reset(self) -> None:
        """Begin again with the shortest pause, after a success."""
        self._next = self._first

    async def pause(self) -> None:
        """Wait, between half and the whole of the present step, and make the next step longer."""
        await asyncio.sleep(uniform(self._next / 2, self._next))  # noqa: S311 - jitter, not a secret
        self._next = min(self._next * 2, self._most)


def configure_logging(level: str) -> None:
    """Log one line a record to standard error, with the time and the logger's name."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
