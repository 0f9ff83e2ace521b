"""Release of all messages before the controller kills the worker: none may be on its way to or from it then."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

from signalbox_agent.broker.ending import Ending, is_done
from signalbox_agent.broker.ownership import MessageOwnership
from signalbox_agent.cancel.canceller import standing
from signalbox_agent.cancel.decide import Standing
from signalbox_agent.cancel.pool import PoolControl
from signalbox_agent.celery_compat import worker as compat
from signalbox_agent.child.slots import Slots
from signalbox_agent.link.link import Link
from signalbox_agent.safety import guarded
from signalbox_agent.tasks.runs import Runs

#: Seconds for children to accept the tasks that they were handed: others might run, and be given back all the same.
ACCEPT = 0.15
#: Seconds for the last events to be sent.
SEND = 0.1
#: Seconds that Celery stands still and waits for the KILL; should none come, it goes on, and takes nothing more.
STILL = 1.0
PAUSE = 0.002
#: Rounds of running pending callbacks, as each may add more.
ROUNDS = 3


@dataclass(frozen=True)
class Release:
    """The release; the last thing that the agent does."""

    #: Celery's WorkController.
    worker: Any
    runs: Runs
    link: Link
    ownership: MessageOwnership
    ending: Ending
    slots: Slots

    def perform(self, pool: PoolControl, hub: Any) -> None:
        """Take and start no more tasks, and send all events; `hub` is Celery's loop, if this is called on it."""
        if hub is not None:
            self.ownership.close()
            self._start_nothing()
            self._catch_up(pool, hub)
        for run in self.runs.all():
            if run.started_at is not None:
                self.ending.keep_from_returning(run.request, done=is_done(self.slots, run))
        self._acknowledge()
        self.link.send({"type": "released"})
        self.link.finish(SEND)
        end = monotonic() + STILL
        while hub is not None and monotonic() < end:
            sleep(PAUSE)

    @guarded
    def _start_nothing(self) -> None:
        """Leave the tasks that wait for a free child in their queue."""
        compat.clear_waiting(self.worker)

    @guarded
    def _acknowledge(self) -> None:
        """Send acknowledgements, which Celery leaves to the next turn of its loop, even those of tasks just begun."""
        for _ in range(ROUNDS):
            pending = compat.pending_callbacks(self.worker.hub)
            for callback in filter(None, pending):
                callback()
        self.worker.consumer.perform_pending_operations()

    @guarded
    def _catch_up(self, pool: PoolControl, hub: Any) -> None:
        """Read the reports of the children, and wait for those that were handed a task just now to accept it."""
        end = monotonic() + ACCEPT
        while True:
            pool.read_reports(hub)
            handed = [run.request for run in self.runs.all() if standing(run) is Standing.HANDED]
            if monotonic() > end or not any(pool.has_sent(request) for request in handed):
                return
            sleep(PAUSE)
