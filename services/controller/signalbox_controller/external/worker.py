"""External worker: launched by others, with our agent in it; it is shown, and never started or stopped from here."""

import asyncio
import logging
import signal

import msgspec

from signalbox.messages.receipts import ProcessReport
from signalbox.service import Jobs
from signalbox_controller import words
from signalbox_controller.agents import spool
from signalbox_controller.agents.slots import Slots
from signalbox_controller.external.notes import Note
from signalbox_controller.external.orphans import orphans_of
from signalbox_controller.linux.signals import kill_all
from signalbox_controller.processes.agent_reports import AgentReports
from signalbox_controller.processes.context import HostContext
from signalbox_controller.processes.exit_cleanup import end_leftovers
from signalbox_controller.processes.instance import Instance
from signalbox_controller.processes.lost_tasks import lost_tasks
from signalbox_controller.processes.machine import Input, step
from signalbox_controller.processes.status import Identity, ProcessStatus

log = logging.getLogger(__name__)

#: The message of its status while there is no other.
LAUNCHED_BY_OTHERS = "launched by others: stop and start it where it was started"


class ExternalWorker(AgentReports):
    """A worker from the first line of its agent until it has ended and its tasks are accounted for."""

    _usual_notice = _notice = LAUNCHED_BY_OTHERS

    def __init__(self, instance: str, note: Note, context: HostContext) -> None:
        self.instance = instance
        self.note = note
        self.agent = context.agents.expect(instance, note.name, self, adopted=True)
        self._context = context
        # It may share its session with what is none of ours; only what its tasks have launched is ended after it.
        self._process = Instance(instance, note.proc, self.agent, context.reaper, gone=True)
        identity = Identity(name=note.name, kind="worker", node=note.node, host=context.host, guest=True)
        self.status = ProcessStatus(identity, "running", context.publish)
        self.status.enter("unknown")
        self.status.message = "was here when the controller started; waits for its agent"
        self.status.instance, self.status.pid = instance, note.proc.pid
        self._jobs = Jobs(note.name)
        #: Set when it has ended, and its last events are published.
        self.ended = asyncio.Event()

    def watch(self) -> None:
        """Watch it until it ends; then account for its tasks."""
        self._process.watch(lambda code: self._jobs.begin(self._on_exit(code)))

    def supersede(self) -> None:
        """Account for its tasks: its process has begun anew, as HUP makes a worker execute itself again."""
        self._process.detach()
        self._jobs.begin(self._clean_up("it was started anew"))

    def detach(self) -> None:
        """Stop watching it; the next controller finds it."""
        self._process.detach()

    # Its status.

    def report(self) -> ProcessReport:
        """The status as part of an answer."""
        return msgspec.structs.replace(self.status.report(), message=self._notice)

    def _feed(self, event: Input, message: str = "") -> None:
        """Enter the state that the machine of supervised processes gives; its actions are not taken."""
        status = self.status
        state = step(status.state, event).state
        if state != status.state:
            log.info("%s: %s → %s, because %s", self.note.name, status.state, state, event)
            status.enter(state)
            status.message = message or self._notice
        if state == "stopped":
            status.desired, status.pid = "stopped", None
        status.publish()

    # Its end.

    async def _on_exit(self, code: int | None) -> None:
        killed = code == -signal.SIGKILL
        memory = self._context.memory.killed(self.note.proc.pid) if killed else "no"
        end = words.exit_words(code, memory) if code is not None else "how it ended is not known"
        await self._clean_up(end)
        self._feed(Input.EXITED, f"ended ({end}); it was launched by others")

    async def _clean_up(self, end: str) -> None:
        context, instance = self._context, self.instance
        written = spool.path_of(context.launcher.socket, instance)
        await kill_all(orphans_of(self.note.proc, self.agent.runs.all()), context.reaper)
        slots = Slots(context.launcher.socket, instance)
        held, _ = await end_leftovers(self._process, context.reaper, spool.read(written), slots)
        events = lost_tasks(self.note.name, context.host, held, end, None).events
        context.pending_events.publish(instance, self.agent.events.acknowledgements.waiting, events)
        context.agents.retire(instance)
        spool.forget(written)
        slots.forget()
        self.ended.set()
