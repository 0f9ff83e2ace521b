"""The session with the agent of one launched process; it outlives any single connection."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from signalbox.messages.events import TaskStarted
from signalbox_agent.cancel.pool import Abilities
from signalbox_agent.cgroup import Cgroup
from signalbox_agent.child.slot_state import SlotState
from signalbox_agent.proc import Proc
from signalbox_controller.agents import protocol
from signalbox_controller.agents.cancel_request import CancelRequest
from signalbox_controller.agents.cancel_requests import CancelRequests
from signalbox_controller.agents.child_deaths import ChildDeaths
from signalbox_controller.agents.connection import Connection
from signalbox_controller.agents.event_intake import EventIntake
from signalbox_controller.agents.liveness import Liveness, Ticks
from signalbox_controller.agents.protocol import AgentLine, CancelReport, Hello, Numbered, WholeRun
from signalbox_controller.agents.running import HeldRuns, Run, RunningTasks
from signalbox_controller.agents.slots import Slots
from signalbox_controller.agents.stop_handshake import StopHandshake
from signalbox_controller.linux.process_clock import ahead_of_us
from signalbox_controller.state.outbox import Outbox

log = logging.getLogger(__name__)

#: Turns without a sign of life after which a worker may not be about to report what it has seen; see `liveness.EVERY`.
MUTE = 2
#: Ids in one line to a worker, which is read within a few milliseconds.
PORTION = 2_000


class Supervisor(Protocol):
    """The supervisor of a process: takes what its agent reports of it, and not of its tasks."""

    @property
    def leased(self) -> bool:
        """Whether the process must hold a lease, and ask before it sends anything."""

    def on_report(self, report: protocol.ProcessReport) -> None:
        """Its agent connected, for the first time or again, or reported something."""

    def on_silent(self) -> None:
        """It is connected, and answers nothing."""

    def on_late(self, ticked: datetime) -> None:
        """It is a beat, and has not ticked since then, against its promise."""

    def on_answer(self) -> None:
        """It was silent or late, and is not any more."""


class Agent:
    """One launch of a worker or beat, through its agent."""

    def __init__(
        self,
        host: str,
        name: str,
        outbox: Outbox,
        deaths: ChildDeaths,
        supervisor: Supervisor,
        *,
        adopted: bool,
        cgroup: Cgroup | None = None,
    ) -> None:
        """`adopted` tells that it was launched by a former controller: it will connect.

        `cgroup` is that of the launch, in which its pool children have theirs.
        """
        self.runs = RunningTasks()
        self.name = name
        #: Celery's name for it; empty until it has said hello.
        self.pool = ""
        self.abilities = Abilities()
        self._host = host
        self._supervisor = supervisor
        self._connection: Connection | None = None
        self._requests = CancelRequests(self.runs, cgroup)
        self._has_sent = True
        self._liveness = Liveness()
        self.ticks = Ticks()
        #: Whether nothing is read from it; see `Outbox.on_full`.
        self._paused = False
        self._idle = asyncio.Event()
        self._idle.set()
        #: Set when it has listed what it holds.
        self._listed = asyncio.Event()
        #: Its main process; nobody else, and nothing but what it has started, may speak in its name.
        self.main: Proc | None = None
        #: The queues that it consumes, as far as its agent has reported them.
        self.queues: tuple[str, ...] = ()
        #: Whether `runs` is all that it runs: an adopted one has to tell us first.
        self.complete = not adopted
        #: Whether it has to be asked about a task: it did connect, or will.
        self.answers = adopted
        #: Whether it could not be installed, and reports only that.
        self.missing = False
        #: Its orphans go to pid 1 and not to us.
        self.adopted = adopted
        self.stop_handshake = StopHandshake(self._send_to_worker, adopted=adopted)
        self.events = EventIntake(
            host,
            name,
            outbox,
            deaths,
            self.runs,
            self._requests,
            self.stop_handshake,
            self.send,
            adopted=adopted,
            cgroup=cgroup,
        )

    def greet(
        self, connection: Connection, hello: Hello, cancelled: Sequence[str], allowed: Sequence[str] = ()
    ) -> None:
        """Take a new connection, which replaces an older one, and ask again what it has not answered."""
        if self._connection is not None:
            self._connection.close()
        self._connection = connection
        self._idle.clear()
        self.missing = bool(hello.error)
        if self.missing:
            self.answers = False
            self._supervisor.on_report(hello)
            return
        self.answers = hello.kind == "worker"
        self.pool, self.abilities = hello.pool, protocol.abilities_of(hello)
        self._liveness, self.ticks = Liveness(), Ticks()
        self.complete = self.complete or not self.answers
        self.runs.node = hello.node
        self.events.ahead = ahead_of_us(hello.clock)
        self.queues = hello.queues or self.queues
        if self.answers and allowed:
            for portion in _portions(allowed):
                connection.send(protocol.Allow(task_ids=portion))
        *earlier, last = _portions(cancelled) if self.answers else [[]]
        for portion in earlier:
            connection.send(protocol.Refuse(task_ids=portion))
        acked, leased = self.events.acknowledge_by_welcome(), self._supervisor.leased
        connection.send(protocol.Welcome(acked=acked, cancelled=last, leased=leased))
        for line in self._requests.lines():
            connection.send(line)
        self.stop_handshake.greet()
        self._supervisor.on_report(hello)

    def _send_to_worker(self, line: protocol.ControllerLine) -> bool:
        """Send a line to a worker that is connected; answer whether there is one."""
        return self.answers and self.send(line)

    def refuse(self, task_ids: Sequence[str]) -> None:
        """Have a worker that is connected refuse these; one that connects later gets them then."""
        for portion in _portions(task_ids):
            self._send_to_worker(protocol.Refuse(task_ids=portion))

    def allow(self, task_ids: Sequence[str]) -> None:
        """Have a worker that is connected run these again; one that connects later gets them then."""
        for portion in _portions(task_ids):
            self._send_to_worker(protocol.Allow(task_ids=portion))

    def send(self, line: protocol.ControllerLine) -> bool:
        """Send a line if it is connected, and answer whether it is; one that connects later does not get it."""
        if self._connection is None:
            return False
        self._connection.send(line)
        return True

    def ping(self) -> bool:
        """Ask a beat for a sign of life; false when none came since the last time, or its tick is overdue."""
        has_sent, self._has_sent = self._has_sent, False
        self.send(protocol.Ping())
        missed = self.ticks.missed()
        return self._paused or (has_sent and not missed)

    def check(self) -> None:
        """Take one turn of looking whether it lives; see `Liveness`."""
        if self._connection is None:
            return
        if self.abilities.answers_while_busy:
            self._connection.send(protocol.Ping())
            if self._liveness.missed():
                self._supervisor.on_silent()
        elif self.ticks.overdue and self._liveness.missed():
            self._supervisor.on_late(self.ticks.latest)

    async def held(self, seconds: float) -> frozenset[str] | None:
        """Have it list the tasks that it holds, waiting or running; None when it does not answer in time."""
        self._listed.clear()
        if not self.audible or not self._send_to_worker(protocol.Report()):
            return None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._listed.wait(), seconds)
        return self.runs.held if self._listed.is_set() else None

    def on_disconnect(self, connection: Connection) -> None:
        if connection is self._connection:
            self._connection = None
            self._idle.set()

    async def quiet(self, seconds: float) -> None:
        """Wait until the connection is gone and all that was sent on it is read, for at most so long."""
        self.hold(paused=False)  # a dead process cannot keep its events for later
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            log.info("The socket of %s is still held open, by something that it left behind", self.name)

    @property
    def audible(self) -> bool:
        """Whether it is connected, and what it reports is read."""
        return self._connection is not None and not self._paused and not self.missing

    @property
    def mute(self) -> bool:
        """Whether it is not connected, or gave no sign of life in the last turns; not while we do not read from it."""
        return not self._paused and (self._connection is None or self._liveness.unanswered >= MUTE)

    def hold(self, paused: bool) -> None:
        """Stop or go on reading; see `Outbox.on_full`."""
        self._paused = paused
        if self._connection is not None:
            self._connection.hold(paused)

    def close(self) -> None:
        """Hang up; the agent keeps for the next controller what is not acknowledged."""
        if self._connection is not None:
            self.events.acknowledge()
            self._connection.close()

    def ask(self, line: protocol.Cancel) -> CancelRequest:
        """Ask it to end a task; the same command asks about a task once."""
        request, is_new = self._requests.open(line)
        if is_new:
            self.send(line)
        return request

    def may_hold(self, task_id: str) -> bool:
        """Whether the task runs or waits there, as far as we can know."""
        return not self.complete or self.runs.knows(task_id)

    def recall(self, spool: Iterable[AgentLine]) -> None:
        """Take in the spool of a process that is gone."""
        for line in spool:
            if isinstance(line, Hello):
                self.runs.node = line.node
            else:
                self.handle_line(line)

    def recall_starts(self, slots: Slots, instance: str) -> None:
        """Take in what its worker wrote of starts, where the worker and the controller that it reported to are gone.

        Of the two latest runs of a child the first is over: its child wrote how, or it was reported long ago. What the
        child began after them was not reported. `instance` is the name of the launch.
        """
        starts = slots.starts()
        latest = {event.pid: event.run for event in starts if isinstance(event, TaskStarted)}
        for event in starts:
            self.runs.node = self.runs.node or event.worker
            self.runs.note(msgspec.structs.replace(event, host=self._host))
        for run in self.runs.all():
            state = slots.of_run(run)
            if latest.get(run.pid, run.run) != run.run and not (state and state.stored):
                self.runs.forget(run)
        self.runs.add_unreported(slots.all(), instance)

    def take_held_runs(self, slots: Slots, instance: str) -> HeldRuns:
        """Its process is gone: finish every request, and return the runs that it held and that are in no request."""
        held = self._requests.end(slots, instance)
        self.answers = False
        self.close()
        return held

    def is_asked_about(self, task_id: str) -> bool:
        """Whether a cancel of this task is open."""
        return self._requests.has(task_id)

    def conclude(self, run: Run, state: SlotState | None) -> None:
        """A run is over, and was not reported: it ended by itself in this state, or its process died."""
        self._requests.conclude(run, state)

    def handle_line(self, line: AgentLine) -> None:
        self._has_sent = True
        steady = self.abilities.answers_while_busy or isinstance(line, protocol.Tick)
        if steady and self._liveness.answered():
            self._supervisor.on_answer()
        match line:
            case Numbered() | WholeRun():
                self.events.take(line)
            case CancelReport():
                self._requests.on_report(line)
            case protocol.Snapshot():
                self.runs.repair(line)
                self.complete = True
                self._listed.set()
            case protocol.MessageOwnership() | protocol.Released():
                self.stop_handshake.on_line(line)
            case protocol.Gap():
                self.events.lost(line.lost)
            case protocol.Tick():
                self.ticks.take(line.due_in)
            case Hello() | protocol.Pong():
                pass  # a sign of life, as every line is
            case protocol.Queues(names=names):
                self.queues = names
                self._supervisor.on_report(line)
            case _:
                self._supervisor.on_report(line)


def _portions(task_ids: Sequence[str]) -> list[list[str]]:
    """At least one, which may be empty."""
    return [list(task_ids[start : start + PORTION]) for start in range(0, max(1, len(task_ids)), PORTION)]
