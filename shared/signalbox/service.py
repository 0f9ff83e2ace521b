"""Service skeleton: start, run until a signal, stop within a deadline; background loops, jobs and pauses.

A loop in the background never ends by itself. When one dies, the whole service ends with an exit code that is not 0,
and who supervises it starts it again: a service without one of its loops looks alive, and what that loop is for is not
done.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from random import uniform
from typing import Never

from signalbox.errors import LoopDied, SignalboxError

log = logging.getLogger(__name__)

#: Seconds for a service to end in order once a loop of it has died.
END_WITHIN = 10.0
#: The exit code of one that did not.
_NOT_IN_ORDER = 1
#: Objects more than before after which the youngest are looked through, and how often the older ones with them.
COLLECT_AFTER = (20_000, 20, 20)

Loop = Callable[[], Coroutine[None, None, None]]

#: What this program does when a loop dies, besides leaving the block of `background`.
_on_death: ContextVar[Callable[[], None]] = ContextVar("on_death", default=lambda: None)


async def run(service: AbstractAsyncContextManager[object]) -> None:
    """Enter `service`, wait for SIGTERM or SIGINT, leave it.

    While leaving, a second Ctrl-C raises KeyboardInterrupt, for a person who will not wait. A second SIGTERM does
    nothing: the kernel sends one per thread of a parent that was killed (prctl(2), PR_SET_PDEATHSIG).
    """
    collect_rarely()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    end_after_a_death()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with service:
        await stop.wait()
        loop.remove_signal_handler(signal.SIGINT)


def collect_rarely() -> None:
    """Have the garbage collector pass over what was imported, and look for cycles less often.

    A thousand events in flight are some ten thousand objects, none of them in a cycle: with the interpreter's own
    thresholds a quarter of the time went into looking at them again and again.
    """
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def end_after_a_death(act: Callable[[], None] = lambda: None) -> None:
    """From now on call `act` when a loop dies, and end this process if it has not ended some seconds later."""

    def on_death() -> None:
        act()
        timer = threading.Timer(END_WITHIN, _end_now)
        timer.daemon = True
        timer.start()

    _on_death.set(on_death)


def _end_now() -> None:
    log.critical("it did not end in order within %g s: it ends now", END_WITHIN)
    logging.shutdown()
    os._exit(_NOT_IN_ORDER)


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
async def background(*loops: Loop) -> AsyncIterator[None]:
    """Run endless loops beside a body; cancel and await them when it ends, or end it when one of them dies."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_endless(loop), name=_name(loop)) for loop in loops]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
    except* asyncio.CancelledError:
        raise asyncio.CancelledError from None


async def run_all(*loops: Loop) -> Never:
    """Run endless loops until cancelled, or until one of them dies."""
    async with background(*loops):
        await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def _endless(loop: Loop) -> None:
    """Run a loop; one that ends without having been cancelled has died, however it ended."""
    try:
        await loop()
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        _note_death(loop, error)
        raise LoopDied(f"{_name(loop)} was cancelled from within") from error
    except SignalboxError as error:
        _note_death(loop, error)
        raise
    except BaseException as error:
        _note_death(loop, error, trace=True)
        raise
    returned = LoopDied(f"{_name(loop)} returned, and must not")
    _note_death(loop, returned)
    raise returned


def _note_death(loop: Loop, error: BaseException, *, trace: bool = False) -> None:
    shown = error if trace else None
    log.critical("%s has died, so the service ends: %s: %s", _name(loop), type(error).__name__, error, exc_info=shown)
    _on_death.get()()


def _name(loop: Loop) -> str:
    return getattr(loop, "__qualname__", None) or repr(loop)


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
