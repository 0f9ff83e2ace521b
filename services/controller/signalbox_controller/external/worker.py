"""One worker that somebody else launched: what its agent and the kernel say of it; nothing is ever done to it."""

import asyncio
import logging
import signal
from collections.abc import Mapping
from datetime import datetime

import msgspec

from signalbox.messages.base import ProcessState, utc_now
from signalbox.messages.events import ProcessChanged
from signalbox.messages.receipts import ProcessReport
from signalbox.service import Jobs
from signalbox_controller import words
from signalbox_controller.agents import protocol, spool
from signalbox_controller.agents.slots import Slots
from signalbox_controller.external.notes import Note
from signalbox_controller.external.orphans import orphans_of
from signalbox_controller.linux.signals import kill_all
from signalbox_controller.processes.context import HostContext
from signalbox_controller.processes.exit_cleanup_a import clear_up
from signalbox_controller.processes.instance import Life
from signalbox_controller.processes.lost_tasks import reckon
from signalbox_controller.processes.machine import Input, step

log = logging.getLogger(__name__)

#: What is said of it as long as there is nothing else to say.
ELSEWHERE = "launched by others: stop and start it where it was started"


class Guest:
    """A worker from its first word until it and its tasks are accounted for."""

    #: Its agent is never asked to hold back.
    leased = False

    def __init__(self, instance: str, note: Note, context: HostContext) -> None:
        self.instance = instance
        self.note = note
        self.agent = context.agents.expect(instance, note.name, self, adopted=True)
        self._context = context
        # It may share its session with what is none of ours; only what its tasks have launched is ended after it.
        self._life = Life(instance, note.proc, self.agent, context.reaper, gone=True)
        self._state: ProcessState = "unknown"
        self._message = "was here when the controller started; waits for its agent"
        self._since: datetime = utc_now()
        self._published: ProcessChanged | None = None
        self._jobs = Jobs(note.name)
        #: Set when it is gone, and all is told of it.
        self.buried = asyncio.Event()

    def watch(self) -> None:
        """Look after it until it ends; then account for its tasks."""
        self._life.watch(lambda code: self._jobs.begin(self._bury(code)))

    def supersede(self) -> None:
        """Its process has begun anew (HUP makes it execute itself again): what it ran before is over."""
        self._life.leave()
        self._jobs.begin(self._account("it was started anew"))

    def leave(self) -> None:
        """Let it be, for the next controller to find."""
        self._life.leave()

    # What its agent says.

    def greeted(self, *, ready: bool) -> None:
        self._feed(Input.READY if ready else Input.GREETED)

    def ready(self) -> None:
        self._feed(Input.READY)

    def waiting(self) -> None:
        self._feed(Input.WAITING, "its broker is away; it consumes again as soon as that is back")

    def silent(self) -> None:
        self._feed(Input.SILENT, "does not answer, and takes no tasks: its main process is stopped, or stuck")

    def heard_again(self) -> None:
        self._feed(Input.HEARD)

    def leaving(self) -> None:
        self._feed(Input.LEAVING, "is shutting down")

    def claims(self, claim: protocol.Claim) -> None:
        """Only a leased beat does."""

    def begins(self, fence: int, runs: Mapping[str, float]) -> None:
        """Only a leased beat does."""

    # How it stands.

    def event(self) -> ProcessChanged:
        """How it is; what is wanted of it is nobody's business here, so that is whatever it is."""
        gone = self._state == "stopped"
        return ProcessChanged(
            at=utc_now(),
            host=self._context.host,
            name=self.note.name,
            kind="worker",
            state=self._state,
            desired="stopped" if gone else "running",
            instance=self.instance,
            pid=None if gone else self.note.proc.pid,
            node=self.note.node,
            since=self._since,
            message=self._message,
            guest=True,
        )

    def report(self) -> ProcessReport:
        """How it is, as part of an answer."""
        pid = self.note.proc.pid
        return ProcessReport(
            name=self.note.name,
            kind="worker",
            state=self._state,
            host=self._context.host,
            pid=pid,
            message=ELSEWHERE,
            guest=True,
        )

    def _feed(self, event: Input, message: str = ELSEWHERE) -> None:
        """The life of our own processes is that of others, too; only that nothing is done about it."""
        state = step(self._state, event).state
        if state != self._state:
            log.info("%s: %s → %s, because %s", self.note.name, self._state, state, event)
            self._state, self._message, self._since = state, message, utc_now()
        self.publish()

    def publish(self) -> None:
        """Publish the status, unless it is the one that was published last."""
        now = self.event()
        if self._published is None or msgspec.structs.replace(now, at=self._published.at) != self._published:
            self._published = now
            self._context.publish(now)

    # Its end.

    async def _bury(self, code: int | None) -> None:
        killed = code == -signal.SIGKILL
        memory = self._context.memory.killed(self.note.proc.pid) if killed else "no"
        end = words.exit_words(code, memory) if code is not None else "how it ended is not known"
        await self._account(end)
        self._feed(Input.EXITED, f"ended ({end}); it was launched by others")

    async def _account(self, end: str) -> None:
        context, instance = self._context, self.instance
        written = spool.path_of(context.launcher.socket, instance)
        await kill_all(orphans_of(self.note.proc, self.agent.runs.running.values()), context.reaper)
        aftermath = await clear_up(self._life, context.reaper, spool.read(written))
        events = reckon(self.note.name, context.host, aftermath.lost, end, None).events
        context.pending_events.publish(instance, self.agent.waiting, events)
        context.agents.retire(instance)
        spool.forget(written)
        Slots(context.launcher.socket, instance).forget()
        self.buried.set()
