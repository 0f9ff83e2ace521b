"""The prefork pool, as far as the agent touches it: billiard's processes, and Celery's AsynPool around them."""

from __future__ import annotations

import contextlib
import fcntl
import select
import signal
import termios
import types
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from signalbox_agent.cancel.pool import PoolControl
from signalbox_agent.celery_compat import prefork as compat
from signalbox_agent.celery_compat.requests import job_of
from signalbox_agent.proc import Proc, identify, present
from signalbox_agent.safety import guarded

#: Messages of one child that are read ahead of time at most.
AHEAD = 16


@dataclass(frozen=True)
class Child:
    """One process of the pool."""

    process: Any
    proc: Proc

    def gone(self) -> bool:
        """Whether it is dead and reaped. Asking reaps it: a zombie still exists."""
        # None also when somebody else reaped it; what the kernel says counts.
        return self.process.exitcode is not None or not present(self.proc)


class Prefork(PoolControl):
    """Finds, signals and replaces the children of a worker's pool."""

    def __init__(self, pool: Any) -> None:
        """`pool` is Celery's TaskPool."""
        self._pool = pool

    def child(self, pid: int | None) -> Child | None:
        """The child with this pid, if it is one of the pool's and lives."""
        for process in compat.processes(self._pool):
            if process.pid == pid and process.exitcode is None:
                proc = identify(process.pid)
                return Child(process, proc) if proc else None
        return None

    def signal(self, child: Child, number: int) -> None:
        """Send it a signal, marked as deliberate; nothing happens when it has left the pool."""
        if child.process.exitcode is None:
            compat.signal_child(self._pool, child.proc.pid, number)

    def retire(self, child: Child) -> None:
        """Replace a child that outlived a TERM, now that it has reported the end of its task and has no other yet.

        Billiard handles one TERM in the life of a process: it would die of the next one on the spot, and
        the task that it has by then could not clean up.
        """
        if compat.takes_one_task(self._pool):
            self.signal(child, signal.SIGKILL)
        else:  # it may have another task in its pipe (-O fast); whose death, should it come, is not by our hand
            compat.forget_signal(child.process)

    def has(self, pid: int) -> bool:
        """Whether the pool has a child with this pid."""
        return any(process.pid == pid for process in compat.processes(self._pool))

    def catch_up(self, child: Child, hub: Any) -> None:
        """Let Celery read now what the child has sent already: it may have finished its task.

        This is what the hub itself does in its next turn. One that was reset, as its broker is away, has
        lost its readers until it turns again.
        """
        handle = compat.output_of(child.process)
        for _ in range(AHEAD):
            callback, arguments = hub.readers.get(handle) or (compat.result_reader(self._pool), (handle,))
            if isinstance(callback, types.GeneratorType) or not self.has_news(child):
                return  # in the midst of a message, which only the hub can finish
            callback(*arguments)

    def population(self) -> dict[str, Any] | None:
        """How many children are `up` and `wanted`, and `within` how many seconds one has to be up."""
        up = sum(compat.is_up(self._pool, process) for process in tuple(compat.processes(self._pool)))
        return {"up": up, "wanted": compat.wanted(self._pool), "within": compat.start_limit(self._pool)}

    def on_up(self, up: Callable[[], None]) -> None:
        """Have `up` called when a child says that it takes work."""
        compat.after_up(self._pool, up)

    def wait_for_start(self, seconds: float) -> float | None:
        """Have Celery wait so long for a child that starts, unless the user has said how long."""
        return seconds if compat.raise_start_limit(self._pool, seconds) else None

    def keep_sent(self) -> None:
        """Let the shutdown of the pool wait for what its children were sent, and may run."""
        compat.keep_sent(self._pool)

    def has_unread(self) -> bool:
        """Whether a child was sent a job that it has not read yet, as it is busy with another one."""
        return any(_unread(compat.input_of(process)) for process in tuple(compat.processes(self._pool)))

    def read_reports(self, hub: Any) -> None:
        """Let Celery read now what the children have sent."""
        for process in tuple(compat.processes(self._pool)):
            child = self.child(process.pid)
            if child is not None:
                self.catch_up(child, hub)

    def has_sent(self, request: Any) -> bool:
        """Whether a request that was handed to the pool is on its way to a child, or there."""
        job = job_of(request)
        return job is not None and not compat.is_queued(self._pool, job)

    def has_news(self, child: Child) -> bool:
        """Whether the child sent something that Celery has not read."""
        if child.process not in compat.processes(self._pool):  # its descriptors may be somebody else's by now
            return False
        poller = select.poll()
        poller.register(compat.output_of(child.process), select.POLLIN)
        return bool(poller.poll(0))

    def on_exit(self, exiting: Callable[[int], None]) -> None:
        """Have `exiting(pid)` called when a child says that it is about to exit, and waits for its last TERM.

        Nothing of the task runs any more then, and all that it started still is the child's.
        """
        compat.before_exit(self._pool, guarded(exiting))


def _unread(handle: int) -> int:
    """The bytes in a pipe (FIONREAD, ioctl_pipe(7)); 0 where it is closed."""
    count = array("i", [0])
    with contextlib.suppress(OSError):
        fcntl.ioctl(handle, termios.FIONREAD, count)
    return count[0]
