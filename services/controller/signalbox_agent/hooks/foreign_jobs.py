"""Foreign jobs: jobs of the pool that a task's own strategy made, such as a batch of celery-batches.

None of Celery's callbacks on a request tells of them. A job that is not that of a request is searched for the ids of
the tasks that wait here; those run in it. They begin when a child accepts the job, and end with it, in the state that
the child noted: what became of a single one only the strategy knows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import time
from typing import Any

from signalbox_agent.hooks.requests import TrackedRequest
from signalbox_agent.hooks.tracker import Tracker
from signalbox_agent.safety import guarded
from signalbox_agent.tasks import events
from signalbox_agent.tasks.ids import key_of
from signalbox_agent.tasks.runs import Run

#: How deep in the arguments of a job requests may lie, and how many objects are looked at.
DEPTH, LIMIT = 4, 20_000
#: The states in which Celery says that a task returned, and that it raised.
RETURNED, RAISED = "SUCCESS", "FAILURE"
#: The error of a task whose job raised, and the result of one whose job returned.
JOB_RAISED = "The job that it ran in raised an error, which its worker has logged"
JOB_RETURNED = "(the job that it ran in returned)"

Callback = Callable[..., Any]


def ids_in(arguments: Any) -> Iterator[str]:
    """The ids of the requests that lie in the arguments of a job."""
    return (key_of(one) for one in itertools.islice(_ids(arguments, DEPTH), LIMIT))


def _ids(value: Any, depth: int) -> Iterator[str]:
    if isinstance(found := getattr(value, "id", None), str):
        yield found
    elif depth and isinstance(value, (list, tuple, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _ids(part, depth - 1)


@dataclass(frozen=True)
class ForeignJobs:
    """The foreign jobs of one worker."""

    tracker: Tracker

    @guarded
    def observe(self, arguments: Any, options: dict[str, Any]) -> dict[str, Any] | None:
        """The options of a job, with callbacks that follow the tasks in it; None when there is none."""
        if isinstance(getattr(options.get("accept_callback"), "__self__", None), TrackedRequest):
            return None
        runs = self._waiting(arguments)
        if not runs:
            return None
        job = Job(self.tracker, runs)
        return {
            **options,
            "accept_callback": _first(job.accepted, options.get("accept_callback")),
            "callback": _first(job.returned, options.get("callback")),
            "error_callback": _first(job.failed, options.get("error_callback")),
        }

    def _waiting(self, arguments: Any) -> list[Run]:
        with self.tracker.loop.lock:
            live = self.tracker.runs
            found = (run for task_id in ids_in(arguments) if live.has(task_id) for run in live.of(task_id))
            return [run for run in found if run.own_strategy and run.started_at is None]


@dataclass(frozen=True)
class Job:
    """One job, and the tasks in it."""

    tracker: Tracker
    runs: list[Run]

    @guarded
    def accepted(self, pid: int, *_: Any) -> None:
        """A child runs it."""
        with self.tracker.loop.lock:
            self.tracker.pool.watch(pid)
            for run in self._open():
                run.together = len(self.runs)
                run.begin(time(), pid, self.tracker.instance)
                self.tracker.link.event(events.started(run))

    @guarded
    def returned(self, *_: Any) -> None:
        """Its function returned, perhaps after an error of the task, which only the child has seen."""
        with self.tracker.loop.lock:
            for run in self._open():
                slot = self.tracker.slots.read(run.pid) if run.pid else None
                state = slot.word if slot else ""
                if state == RAISED:
                    self.tracker.end(run, events.failed(run, "error", JOB_RAISED), "failed")
                else:
                    certainty = "seen" if state == RETURNED else "told"
                    event = events.succeeded(run, JOB_RETURNED, None, certainty=certainty)
                    self.tracker.end(run, event, "completed")

    @guarded
    def failed(self, einfo: Any) -> None:
        """Its process died, or its function raised."""
        with self.tracker.loop.lock:
            for run in self._open():
                self.tracker.end(run, *self.tracker.failure(run, einfo))

    def _open(self) -> list[Run]:
        return [run for run in self.runs if not run.over]


def _first(ours: Callback, theirs: Callback | None) -> Callback:
    """A callback that calls ours, then theirs."""

    def both(*args: Any, **kwargs: Any) -> Any:
        ours(*args)
        return theirs(*args, **kwargs) if theirs is not None else None

    return both
