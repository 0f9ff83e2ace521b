"""The progress of requests, as the hooks see it: noted in a few steps, and worked off in one go.

Celery's loop limits how many tasks a worker can run, and a few lines of Python that run between two of its own cost
twice of what they cost in a row. So the hooks of a task that is received, begins and returns only note that, and the
tracker puts all of it into runs and events when the agent writes, or somebody asks. A task that did all three meanwhile
becomes one line. This is so only while Celery's loop drives the agent and a controller listens: else each step is
told at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import time
from typing import Any

from signalbox_agent.cancel.pool import PoolControl
from signalbox_agent.child.slots import Slots
from signalbox_agent.link.link import Link
from signalbox_agent.link.loop import Loop
from signalbox_agent.safety import guarded
from signalbox_agent.tasks.ids import key_of
from signalbox_agent.tasks.runs import Run, Runs

#: Children that are remembered; where more come and go, each start is told at once now and then.
CHILDREN = 1_000


class Progress:
    """How far one request has come; times in seconds of the epoch, 0.0 for what has not happened."""

    __slots__ = ("ended_at", "left", "noted", "over", "pid", "received_at", "result", "runtime", "started_at")

    def __init__(self, received_at: float) -> None:
        self.received_at = received_at
        self.pid = 0
        self.started_at = 0.0
        self.ended_at = 0.0
        self.result: object = ""
        self.runtime: float | None = None
        #: How many processes it has left running.
        self.left = 0
        #: Whether there is something that is not worked off.
        self.noted = True
        #: Whether it returned; also where that was told at once.
        self.over = False


class Notes:
    """The requests whose progress is not worked off; a hook answers False for what has to be dealt with at once."""

    def __init__(self, runs: Runs, link: Link, loop: Loop, pool: PoolControl, slots: Slots, *, shared: bool) -> None:
        """`shared` tells that tasks share the worker's process: others than Celery's loop may call then."""
        self._runs = runs
        self._link = link
        self._loop = loop
        self._pool = pool
        self._slots = slots
        self._shared = shared
        self._requests: deque[Any] = deque()
        #: The latest progress of each child.
        self._latest: dict[int, Progress] = {}
        #: Answers whether a start may settle what Celery has forgotten.
        self.is_searching: Callable[[], bool] = lambda: False
        link.noted = self._requests

    def take(self) -> Any:
        """The next request; IndexError when there is none."""
        return self._requests.popleft()

    def __len__(self) -> int:
        return len(self._requests)

    # Called by the hooks: each call in here counts, for every task

    @guarded
    def received(self, request: Any) -> bool:
        """The worker took it from its queue."""
        refused = self._runs.refused
        if not self._link.takes_runs or self._loop.hub is None or self._shared:
            return False
        if request.delivery_info.get("redelivered") or (refused and key_of(request.id) in refused):
            return False
        request._signalbox_progress = Progress(time())
        self._put(request)
        return True

    @guarded
    def may_start(self, request: Any) -> bool:
        """Whether nothing stands against its start: no cancel, and no earlier run that it must not run beside."""
        return self._is_plain(request, request._signalbox_progress)

    @guarded
    def accepted(self, request: Any, pid: int) -> bool:
        """A child runs it, and has reported the return of what it ran before; Celery has taken the time."""
        progress: Progress | None = request._signalbox_progress
        previous = self._latest.get(pid)
        if progress is None or not request.time_start:
            return False
        if previous is None and len(self._latest) >= CHILDREN:
            self._latest.clear()
        self._latest[pid] = progress
        if previous is None or not previous.over or not self._is_plain(request, progress):
            return False
        if self.is_searching() or not self._pool.watch(pid):
            return False
        progress.pid, progress.started_at = pid, request.time_start
        if not progress.noted:
            progress.noted = True
            self._put(request)
        return True

    @guarded
    def succeeded(self, request: Any, outcome: tuple[Any, Any, float | None]) -> bool:
        """It returned; `outcome` is that of the pool."""
        progress: Progress | None = request._signalbox_progress
        failed, result, runtime = outcome
        if failed or progress is None:
            return False
        progress.over = True
        pid = progress.pid or (request._signalbox and request._signalbox.pid)
        if not pid or not self._is_plain(request, progress):
            return False
        if self._slots.has_left(pid):
            progress.left = self._slots.left_by(pid, key_of(request.id))
        progress.result, progress.runtime, progress.ended_at = result, runtime, time()
        if not progress.noted:
            progress.noted = True
            self._put(request)
        return True

    def _is_plain(self, request: Any, progress: Progress | None) -> bool:
        run: Run | None = request._signalbox
        if run is not None and (run.over or run.original is not None or run.kill is not None or run.pending_cancels):
            return False
        if progress is None or self._loop.hub is None or not self._link.takes_runs:
            return False
        refused = self._runs.refused
        return not refused or key_of(request.id) not in refused

    def _put(self, request: Any) -> None:
        if not self._requests:
            self._link.pace()
        self._requests.append(request)
