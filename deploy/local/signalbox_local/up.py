"""`up`: run everything until Ctrl-C or TERM, then stop it in order."""

import asyncio
import signal
import sys
import time
import traceback
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from signalbox_controller.linux.reaper import become_subreaper
from signalbox_local.errors import LocalError
from signalbox_local.lock import lock_folder
from signalbox_local.plan import Plan
from signalbox_local.processes.descendants import end_descendants
from signalbox_local.progress import to_terminal
from signalbox_local.run import ADMIN, LocalRun

T = TypeVar("T")


class Interrupts:
    """Ctrl-C, TERM and the closing of the terminal: the first requests a stop, the second forces it."""

    def __init__(self) -> None:
        self.stop, self.force = asyncio.Event(), asyncio.Event()

    def listen(self) -> None:
        """Install the signal handlers."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        (self.force if self.stop.is_set() else self.stop).set()


def up(plan: Plan) -> int:
    """Run in the foreground; return the exit code: 0 after a requested stop, 1 after a failure."""
    become_subreaper()
    try:
        with lock_folder(plan.data):
            return asyncio.run(_up(plan))
    except LocalError as error:
        print(f"signalbox: {error}", file=sys.stderr)
        return 1


async def _up(plan: Plan) -> int:
    began = time.monotonic()
    run, interrupts = LocalRun(plan, to_terminal), Interrupts()
    interrupts.listen()
    failure: Exception | None = None
    try:
        await _unless(interrupts.stop, run.start())
        if not interrupts.stop.is_set():
            _print_address(run, time.monotonic() - began)
            failure = await _unless(interrupts.stop, run.broken())
    except Exception as error:  # noqa: BLE001 - whatever it is, what was started has to end
        failure = error
    if failure:
        print(f"signalbox: {_in_words(failure, plan.data)}", file=sys.stderr, flush=True)
    await _end(run, interrupts)
    return 1 if failure else 0


async def _end(run: LocalRun, interrupts: Interrupts) -> None:
    """Stop what runs, and kill whatever is left of it."""
    stopping = run.anything_runs
    if stopping:
        to_terminal("Stopping; once more Ctrl-C kills at once")
        await _unless(interrupts.force, run.stop())
        if interrupts.force.is_set():
            await run.kill()
    if left := await end_descendants():
        to_terminal(f"  killed what was left: {', '.join(map(str, left))}")
    if stopping:
        to_terminal("Signalbox is stopped")


def _in_words(failure: Exception, data: Path) -> str:
    """The sentence of an error that is meant for people; of any other where its details are."""
    if isinstance(failure, LocalError):
        return str(failure)
    log = data / "logs" / "up.log"
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.write_text("".join(traceback.format_exception(failure)), encoding="utf-8")
    except OSError as error:
        return f"it had to end: {type(failure).__name__}: {failure} (its details cannot be kept: {error.strerror})"
    return f"it had to end: {type(failure).__name__}: {failure}; details are in {log}"


def _print_address(run: LocalRun, took: float) -> None:
    to_terminal(f"  ready after {took:.1f} s")
    to_terminal(f"Signalbox is ready at {run.plan.url}")
    to_terminal(f"Sign in as {ADMIN} with the password {run.admin_password}")
    to_terminal("Give the example something to do, from another terminal: make task DO='long 60'")
    to_terminal(f"Logs are in {run.plan.data / 'logs'}. Ctrl-C stops everything.")


async def _unless(event: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of `work`, or None when `event` was set first; `work` is then cancelled and awaited."""
    task, stop = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return None
    finally:
        stop.cancel()
