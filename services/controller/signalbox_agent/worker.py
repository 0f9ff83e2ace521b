"""The agent in a worker: its parts, put together and into Celery's boot steps."""

from __future__ import annotations

import os
from typing import Any

from celery import signals
from celery.concurrency.prefork import TaskPool

from signalbox_agent.broker.ending import Ending
from signalbox_agent.broker.release import Release
from signalbox_agent.cancel.canceller import Canceller, standing
from signalbox_agent.cancel.decide import Standing
from signalbox_agent.cancel.pool import Context, PoolControl, abilities_of, control_of, name_of
from signalbox_agent.cancel.results import ResultWriter
from signalbox_agent.celery_compat import names
from signalbox_agent.celery_compat.worker import has_own_strategy, observe_jobs, refuse_messages, spawns
from signalbox_agent.cgroup import Cgroup
from signalbox_agent.child import child
from signalbox_agent.child.bodies import Bodies
from signalbox_agent.child.slot_file import folder_of
from signalbox_agent.child.slots import Slots
from signalbox_agent.hooks.foreign_jobs import ForeignJobs
from signalbox_agent.hooks.progress import Notes
from signalbox_agent.hooks.rejections import Rejections
from signalbox_agent.hooks.request_runs import RequestRuns
from signalbox_agent.hooks.requests import Claims, on_received, queue_finder, settle_duplicate
from signalbox_agent.hooks.settling import Settling
from signalbox_agent.hooks.slot_passing import SlotPassing, pass_on_slots
from signalbox_agent.hooks.steps import consumer_step, worker_step
from signalbox_agent.hooks.tracker import Tracker
from signalbox_agent.hooks.unreported import UnreportedRuns
from signalbox_agent.link.loop import Loop
from signalbox_agent.safety import complain, guarded, logger
from signalbox_agent.tasks.cancelled_ids import refused
from signalbox_agent.tasks.runs import Run, Runs
from signalbox_agent.worker_reports import WorkerReports

#: Seconds that a starting worker waits for the ids that it must refuse.
WELCOME_WITHIN = 1.0
#: Seconds that an ending worker may spend on its last events.
LAST_WORDS = 0.5
#: The same for the results of tasks that ended with it.
LAST_RESULTS = 1.0


class WorkerAgent:
    """All of the agent in one worker."""

    def __init__(self, worker: Any, path: str, instance: str, *, guest: bool = False, cgroup: str = "") -> None:
        """See `install`; `worker` is Celery's WorkController, about to be built."""
        self._worker = worker
        self._path = path
        self._instance = instance
        #: Whether tasks share the worker's process.
        self._shared = False
        self._pool = PoolControl()
        self._canceller: Canceller | None = None
        self._claims: Claims | None = None
        self._rejections: Rejections | None = None
        self._passing: SlotPassing | None = None
        self._unreported: UnreportedRuns | None = None
        self._bodies = Bodies()
        self._ending = Ending()
        self.loop = Loop()
        self.results = ResultWriter()
        self.runs = Runs()
        self.runs.on_duplicate_over = settle_duplicate
        self._reports = WorkerReports(worker, path, instance, self.loop, self.runs, self._on_message, guest=guest)
        self.link = self._reports.link
        self.ownership = self._reports.ownership
        self.slots = Slots(folder_of(path, instance))
        self._cgroup = Cgroup(cgroup) if cgroup else None

    def install(self) -> None:
        """Hook into what Celery offers."""
        signals.task_received.connect(on_received, weak=False)
        signals.worker_ready.connect(self._on_ready, weak=False)
        cgroup = self._cgroup.path if self._cgroup else ""
        self._bodies.install()
        child.install(os.getpid(), self.slots.folder, cgroup, self._bodies)
        os.register_at_fork(after_in_child=guarded(self.link.abandon))
        results = self.results
        os.register_at_fork(
            before=guarded(results.hold),
            after_in_parent=guarded(results.release),
            after_in_child=guarded(results.abandon),
        )
        if spawns(self._worker):
            # What is included is imported by spawned children; this process has done its imports.
            self._worker.app.conf.include = (*self._worker.app.conf.include, "signalbox_agent.child.spawned")
            os.environ |= {child.SLOTS: self.slots.folder, child.CGROUP: cgroup}
        self._worker.app.steps["worker"].add(worker_step(self))
        self._worker.app.steps["consumer"].add(consumer_step(self))

    # Called by the boot steps

    def start(self) -> None:
        """The pool is up, nothing is consumed yet."""
        self._check()
        self._prepare(self._worker.pool)
        self._connect()

    @guarded
    def _check(self) -> None:
        self._reports.missing = names.check_worker(self._worker)
        for sentence in self._reports.missing.sentences:
            logger.warning("Signalbox: %s", sentence)

    @guarded
    def _prepare(self, pool: Any) -> None:
        shared = not isinstance(pool, TaskPool)
        self.results.at_once = abilities_of(pool).takes_turns
        can_refuse = self._reports.missing.can(names.CANCEL_WAITING)
        if can_refuse and not shared and self._worker.hub is not None:
            self._passing = pass_on_slots(self._worker, self.loop)
        if not shared:
            self.slots.open()
        self._control_pool(pool)
        canceller = self._new_canceller(pool, shared=shared)
        notes = Notes(self.runs, self.link, self.loop, self._pool, self.slots, shared=shared)
        tracker = self._new_tracker(notes, canceller, shared=shared, can_refuse=can_refuse)
        if self._reports.missing.can(names.TRACKING):
            self._claims = Claims(tracker, (self._bodies.mark, self._pool.prepare))
            observe_jobs(pool, ForeignJobs(tracker).observe)
        if not shared:
            self._unreported = UnreportedRuns(self.runs, self._pool, self.slots, self.loop, tracker)
            self._unreported.start()
            tracker.on_accepted, notes.is_searching = self._unreported.accepted, self._unreported.is_searching
        if self._reports.missing.can(names.POOL_STATE):
            self._reports.watch(self._pool)
        self._rejections = Rejections(tracker)
        self._shared, self._canceller = shared, canceller

    def _new_canceller(self, pool: Any, *, shared: bool) -> Canceller:
        canceller = Canceller(
            self.runs,
            self.link,
            self.loop,
            self._pool,
            name_of(pool),
            self.slots,
            self._reports.missing,
            can_refuse=shared,
        )
        canceller.refuse(refused(self._path))
        self._pool.on_exit(canceller.about_to_exit)
        return canceller

    def _new_tracker(self, notes: Notes, canceller: Canceller, *, shared: bool, can_refuse: bool) -> Tracker:
        queue_of = queue_finder(self._worker.app)
        requests = RequestRuns(runs=self.runs, instance=self._instance, node=self._worker.hostname, queue_of=queue_of)
        tracker = Tracker(
            runs=self.runs,
            requests=requests,
            link=self.link,
            loop=self.loop,
            slots=self.slots,
            pool=self._pool,
            notes=notes,
            canceller=canceller,
            ending=self._ending,
            results=self.results,
            instance=self._instance,
            shared=shared,
            can_refuse=can_refuse,
        )
        self.link.settle = self.runs.settle = requests.settle = Settling(tracker, notes).settle
        return tracker

    @guarded
    def _control_pool(self, pool: Any) -> None:
        if self._reports.missing.can(names.CANCEL_RUNNING):
            self._pool = control_of(pool, Context(self.loop, self.slots, self._worker.hub is not None, self._cgroup))

    def claim(self, tasks: Any) -> None:
        """Give these tasks a Request that is tracked."""
        if self._claims is not None:
            self._claims.claim(tasks)

    @guarded
    def built(self, consumer: Any) -> None:
        """Have strategies that know no refusal get no message of a cancelled task."""
        for name, task in consumer.app.tasks.items():
            if self._rejections is not None and has_own_strategy(task):
                refuse_messages(consumer, name, self._rejections.refuse)

    @guarded
    def took(self, consumer: Any) -> None:
        """Celery's consumer is about to take messages from its queues."""
        self.ownership.take(consumer.task_consumer.channel)
        self._reports.queue_watch.take(consumer)

    def rejected(self, kind: str, message: Any, error: Any) -> None:
        """A message is about to be thrown away."""
        if self._rejections is not None:
            self._rejections.reject(kind, message, error)

    @guarded
    def _connect(self) -> None:
        self.loop.start_thread()
        with self.loop.lock:
            self._reports.begin()
            self.link.connect()
        self.link.welcomed.wait(WELCOME_WITHIN)

    @guarded
    def closing(self) -> None:
        """Have what the pool's processes were sent run to its end, once, and be acknowledged.

        The step of the consumer is not told of it where that waits for its broker.
        """
        with self.loop.lock:
            self._reports.stops()
        self._pool.keep_sent()

    @guarded
    def turning(self, hub: Any) -> None:
        """Celery's loop begins to turn."""
        if self._shared or self._canceller is None:
            return  # where tasks share the process, the loop may stand still for as long as one runs
        self.loop.attach(hub)
        self._canceller.resume()
        if self._passing is not None:
            self._passing.resume()
        self._pool.resume(hub)
        self._reports.pool_watch.turning()

    @guarded
    def standing_still(self, *, for_good: bool) -> None:
        """Celery's loop has stopped: until there is a broker again, or for good."""
        with self.loop.lock:
            if for_good:
                self._reports.stops()
            else:
                self.runs.forget_waiting(self._is_handed)
                if self._unreported is not None:
                    self._unreported.broker_lost()
                self._reports.waits()
        self.loop.detach(for_good=for_good)

    def _is_handed(self, run: Run) -> bool:
        return not self._shared and standing(run) is Standing.HANDED

    @guarded
    def consuming(self) -> None:
        """Report that the worker consumes again; the first time, the signal `worker_ready` has it reported."""
        with self.loop.lock:
            self._reports.consumes_again()

    @guarded
    def finish(self) -> None:
        """Send the last events before the process ends, and store the last results."""
        self.results.drain(LAST_RESULTS)
        with self.loop.lock:
            self._reports.report_ownership()
            self.link.finish(LAST_WORDS)

    @guarded
    def _on_ready(self, **_: Any) -> None:
        with self.loop.lock:
            self._reports.consumes()

    # Messages from the controller

    def _on_message(self, message: dict[str, Any]) -> None:
        if self._canceller is None:
            return
        if message["type"] == "cancel":
            self._cancel(self._canceller, message["command_id"], message["task_id"], float(message["grace"]))
        elif message["type"] == "refuse":
            self._canceller.refuse(message["task_ids"])
        elif message["type"] == "allow":
            self._canceller.allow(message["task_ids"])
        elif message["type"] == "report":
            self._reports.snapshot()
        elif message["type"] == "stop":
            self._end(message)
        elif message["type"] == "welcome":
            self._canceller.refuse(message["cancelled"])
            self._begin()

    def _begin(self) -> None:
        """Report to a controller that has just welcomed us."""
        self._reports.repeat()
        if self._rejections is not None:
            self._rejections.report()
        self._reports.report_ownership()
        self._reports.snapshot()

    def _cancel(self, canceller: Canceller, command_id: str, task_id: str, grace: float) -> None:
        """Cancel, or answer at once that it cannot be done."""
        try:
            canceller.cancel(command_id, task_id, grace)
        except Exception:  # noqa: BLE001 - a command must not wait for its answer for ever
            complain("a cancel")
            canceller.failed(command_id, task_id)

    def _end(self, message: dict[str, Any]) -> None:
        """A stop is under way; when a KILL is about to follow, nothing may be on its way to or from the broker."""
        self._ending.begin(message["error"], redeliver=message["redeliver"])
        if message["kill"]:
            release = Release(self._worker, self.runs, self.link, self.ownership, self._ending, self.slots)
            release.perform(self._pool, self.loop.hub)
