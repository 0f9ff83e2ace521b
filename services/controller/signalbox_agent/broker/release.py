"""Letting go, when the controller is about to KILL the worker: nothing may be on its way to or from anybody then."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any

from signalbox_agent.broker.ending import Ending
from signalbox_agent.broker.ownership import MessageOwnership
from signalbox_agent.cancel.canceller import standing
from signalbox_agent.cancel.decide import Standing
from signalbox_agent.cancel.pool import PoolControl
from signalbox_agent.celery_compat import worker as compat
from signalbox_agent.link.link import Link
from signalbox_agent.safety import guarded
from signalbox_agent.tasks.runs import Runs

#: Seconds that children have to accept what they were handed: else it might run, and be given back all the same.
ACCEPT = 0.15
#: Seconds for the last events to be sent.
SEND = 0.1
#: Seconds that Celery stands still and waits for the KILL; should none come, it goes on, and takes nothing more.
STILL = 1.0
PAUSE = 0.002
#: How often what is pending is looked for, as it may bring more.
ROUNDS = 3


class Release:
    """The last thing that the agent does."""

    def __init__(self, worker: Any, runs: Runs, link: Link, ownership: MessageOwnership, ending: Ending) -> None:
        """`worker` is Celery's WorkController."""
        self._worker = worker
        self._runs = runs
        self._link = link
        self._ownership = ownership
        self._ending = ending

    def at_once(self, pool: PoolControl, hub: Any) -> None:
        """Take nothing more, start nothing more, tell all; `hub` is Celery's loop if that is where we are."""
        if hub is not None:
            self._ownership.close()
            self._start_nothing()
            self._catch_up(pool, hub)
        for run in self._runs.all():
            if run.started_at is not None:
                self._ending.keep_from_returning(run.request)
        self._acknowledge()
        self._link.say({"type": "released"})
        self._link.finish(SEND)
        end = monotonic() + STILL
        while hub is not None and monotonic() < end:
            sleep(PAUSE)

    @guarded
    def _start_nothing(self) -> None:
        """What waits for a free child goes on waiting, in its queue."""
        compat.clear_waiting(self._worker)

    @guarded
    def _acknowledge(self) -> None:
        """Celery leaves acknowledgements to the next turn of its loop, also those of tasks that have just begun."""
        for _ in range(ROUNDS):
            pending = compat.pending_callbacks(self._worker.hub)
            for callback in filter(None, pending):
                callback()
        self._worker.consumer.perform_pending_operations()

    @guarded
    def _catch_up(self, pool: PoolControl, hub: Any) -> None:
        """Hear what the children have said, and what those say that were handed a task just now."""
        end = monotonic() + ACCEPT
        while True:
            pool.read_reports(hub)
            handed = [run.request for run in self._runs.all() if standing(run) is Standing.HANDED]
            if monotonic() > end or not any(pool.has_sent(request) for request in handed):
                return
            sleep(PAUSE)
