"""Letting go, when the controller is about to KILL the worker: nothing may be on its way to or from anybody then."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any

from signalbox_agent.cancel import Standing
from signalbox_agent.canceller import standing
from signalbox_agent.custody import Custody
from signalbox_agent.ending import Ending
from signalbox_agent.link import Link
from signalbox_agent.prefork import Prefork
from signalbox_agent.runs import Runs

#: Seconds that children have to accept what they were handed: else it might run, and be given back all the same.
ACCEPT = 0.02
#: Seconds for the last events to be sent.
SEND = 0.1
#: Seconds that Celery stands still and waits for the KILL; should none come, it goes on, and takes nothing more.
STILL = 1.0
PAUSE = 0.002


class Release:
    """The last thing that the agent does."""

    def __init__(self, worker: Any, runs: Runs, link: Link, custody: Custody, ending: Ending) -> None:
        """`worker` is Celery's WorkController."""
        self._worker = worker
        self._runs = runs
        self._link = link
        self._custody = custody
        self._ending = ending

    def at_once(self, prefork: Prefork | None, hub: Any) -> None:
        """Take nothing more, start nothing more, tell all; `hub` is Celery's loop if that is where we are."""
        if hub is not None:
            self._custody.close()
            self._start_nothing()
            if prefork is not None:
                self._catch_up(prefork, hub)
        for run in self._runs.all():
            if run.started_at is not None:
                self._ending.keep_from_returning(run.request)
        self._link.say({"type": "released"})
        self._link.finish(SEND)
        end = monotonic() + STILL
        while hub is not None and monotonic() < end:
            sleep(PAUSE)

    def _start_nothing(self) -> None:
        """What waits for a free child goes on waiting, in its queue."""
        waiting = getattr(self._worker.semaphore, "_waiting", None)
        if waiting is not None:
            waiting.clear()

    def _catch_up(self, prefork: Prefork, hub: Any) -> None:
        """Hear what the children have said, and what those say that were handed a task just now."""
        end = monotonic() + ACCEPT
        while True:
            prefork.catch_up_all(hub)
            handed = any(standing(run) is Standing.HANDED for run in self._runs.all())
            if not handed or monotonic() > end:
                return
            sleep(PAUSE)
