"""Settling: what the hooks have noted of requests becomes runs and events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from signalbox_agent.hooks.progress import Notes, Progress
from signalbox_agent.hooks.tracker import Tracker
from signalbox_agent.safety import guarded
from signalbox_agent.tasks import events, whole_runs
from signalbox_agent.tasks.runs import Run

#: Of a task that returned; see `Runs.ended`.
COMPLETED = {"state": "finished", "status": "completed"}


@dataclass(frozen=True)
class Settling:
    """Works off the notes of one worker; until then nothing is sent, and nobody is answered."""

    tracker: Tracker
    notes: Notes

    def settle(self) -> None:
        """Work off all of them."""
        if not self.notes:
            return
        with self.tracker.loop.lock:
            begun: dict[int, Run] = {}
            while self.notes:
                self._work_off(self.notes.take(), begun)
            for pid, run in begun.items():
                self._note_start(pid, run)

    @guarded
    def _work_off(self, request: Any, begun: dict[int, Run]) -> None:
        progress: Progress = request._signalbox_progress
        progress.noted = False
        run: Run = request._signalbox or self.tracker.requests.open(request, progress.received_at)
        whole = bool(progress.ended_at) and run.started_at is None and not run.own_strategy
        receipt = "" if run.received else self._receive(request, run, progress.received_at, whole=whole)
        if progress.started_at and run.started_at is None:
            self._begin(run, progress, begun, whole=whole)
        if progress.ended_at and not run.over:
            self._end(run, progress, whole_runs.fields(run, receipt) if whole else "")

    def _receive(self, request: Any, run: Run, at: float, *, whole: bool) -> str:
        """Send that it waits, unless that comes with its end; then the answer says so."""
        run.received = True
        origin = request.eta, request.root_id, request.parent_id
        if whole:
            return whole_runs.receipt(run, at, *origin)
        self.tracker.link.event(events.received(run, *origin, at))
        return ""

    def _begin(self, run: Run, progress: Progress, begun: dict[int, Run], *, whole: bool) -> None:
        self.tracker.runs.begin(run, progress.started_at, progress.pid, self.tracker.instance)
        if not whole:
            self.tracker.link.event(events.started(run))
        latest = begun.get(progress.pid)
        if latest is None or (latest.started_at or 0) < progress.started_at:
            begun[progress.pid] = run

    def _end(self, run: Run, progress: Progress, fields: str) -> None:
        run.left_processes = progress.left
        event = events.succeeded(run, progress.result, progress.runtime, at=progress.ended_at)
        self.tracker.runs.end(run, COMPLETED)
        self.tracker.link.event(event, fields)

    @guarded
    def _note_start(self, pid: int, run: Run) -> None:
        """Note the latest start in a child, before anything is sent.

        Who finds neither this worker nor its controller alive knows by that what they may have told.
        """
        self.tracker.slots.note_start(pid, events.started(run))
        self.tracker.on_accepted(pid, run)
