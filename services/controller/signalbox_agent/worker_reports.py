"""Reports of a worker to its controller: who it is, whether it consumes, what it holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from time import monotonic, time
from typing import Any

from signalbox_agent import PROTOCOL
from signalbox_agent.broker.ownership import MessageOwnership
from signalbox_agent.cancel.pool import PoolControl, abilities_of, name_of
from signalbox_agent.celery_compat.names import Missing
from signalbox_agent.hooks.pool_watch import PoolWatch
from signalbox_agent.hooks.queue_watch import QueueWatch
from signalbox_agent.link.link import Link, line_of
from signalbox_agent.link.loop import Loop
from signalbox_agent.link.spool import Spool, path_of
from signalbox_agent.safety import guarded
from signalbox_agent.tasks import events
from signalbox_agent.tasks.runs import Runs

#: Seconds between snapshots.
SNAPSHOT_EVERY = 10.0


class WorkerReports:
    """What the controller is told of a worker, and the link that it is told on."""

    def __init__(
        self,
        worker: Any,
        path: str,
        instance: str,
        loop: Loop,
        runs: Runs,
        on_message: Callable[[dict[str, Any]], None],
        *,
        guest: bool,
    ) -> None:
        """`worker` is Celery's WorkController, `path` that of the controller's socket."""
        self.link = Link(path, loop, self._hello, on_message)
        self.link.spool = Spool(path_of(path, instance), self._first_page)
        #: What of Celery's privates is missing, and with it of our features.
        self.missing = Missing([])
        self.queue_watch = QueueWatch(loop, self.link)
        self.ownership = MessageOwnership(instance, self.report_ownership)
        self._ready = False
        #: Whether it has lost its broker, and waits for it.
        self._waiting = False
        self._stopping = False
        self._worker = worker
        self._instance = instance
        self._guest = guest
        self._loop = loop
        self._runs = runs
        self.watch(PoolControl())

    def watch(self, pool: PoolControl) -> None:
        """Report the processes of this pool."""
        self.pool_watch = PoolWatch(pool, self._loop, self.link, lambda: self._ready)

    def begin(self) -> None:
        """Report what is held, and the pool, from now on every few seconds; the caller has the loop's lock."""
        self._loop.call_later(SNAPSHOT_EVERY, self._snapshot_again)
        self.pool_watch.begin()

    def _hello(self) -> dict[str, Any]:
        pool = self._worker.pool
        return {
            "type": "hello",
            "protocol": PROTOCOL,
            "instance": self._instance,
            "pid": os.getpid(),
            "clock": time() - monotonic(),
            "kind": "worker",
            "node": self._worker.hostname,
            "pool": name_of(pool),
            "abilities": asdict(abilities_of(pool)),
            "ready": self._ready,
            "children": self.pool_watch.state(),
            "guest": self._guest,
            "queues": self.queue_watch.names(),
            "missing": self.missing.sentences,
        }

    # Whether it consumes. The caller has the loop's lock.

    def consumes(self) -> None:
        """It is ready for the first time."""
        self._ready = True
        self._report_ready()

    def consumes_again(self) -> None:
        """It is ready again, if it had lost its broker; the first time is reported by `consumes`."""
        if self._waiting:
            self._waiting = False
            self.consumes()

    def waits(self) -> None:
        """It has lost its broker, and waits for it."""
        if self._ready:
            self._ready, self._waiting = False, True
            self.link.send({"type": "waiting"})

    def stops(self) -> None:
        """It has begun to end."""
        self._stopping = True
        self.link.send({"type": "stopping"})

    def repeat(self) -> None:
        """Report the state to a controller that has just welcomed us; it may be another than the hello said."""
        if self._ready:
            self._report_ready()
        if self._waiting:
            self.link.send({"type": "waiting"})
        if self._stopping:
            self.link.send({"type": "stopping"})

    def _report_ready(self) -> None:
        self.link.send({"type": "ready", "children": self.pool_watch.state()})

    # What it holds.

    @guarded
    def report_ownership(self) -> None:
        """Report whether messages have to be given back by somebody else when it dies."""
        with self._loop.lock:
            self.link.send({"type": "custody", "ours": self.ownership.ours})

    def snapshot(self) -> None:
        """Report the tasks that run and those that wait here."""
        self.link.send(self._holdings())

    def _snapshot_again(self) -> None:
        self._loop.call_later(SNAPSHOT_EVERY, self._snapshot_again)
        self.snapshot()
        self.pool_watch.report()

    def _first_page(self) -> Iterator[bytes]:
        yield line_of(self._hello())
        yield from self.link.backlog.everything()
        yield line_of(self._holdings())

    def _holdings(self) -> dict[str, Any]:
        runs = self._runs.all()
        running = [
            {
                "task_id": run.task_id,
                "run": run.key,
                "delivery": run.delivery,
                "pid": run.pid,
                "name": run.name,
                "celery_name": run.celery_name,
                "started_at": events.instant(run.started_at),
                "acks_late": run.acks_late,
            }
            for run in runs
            if run.started_at is not None
        ]
        reserved = [run.task_id for run in runs if run.started_at is None and run.original is None]
        return {"type": "snapshot", "running": running, "reserved": reserved}
