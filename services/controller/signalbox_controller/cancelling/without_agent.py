"""Cancel without the agent, in a worker that is stopped or stuck: the controller signals the pool child by itself.

The agent knows which task a child runs. Without it that has to be proven: by pid and start time the process is a child
of the worker that we launched, and its slot names the task while it is stopped, when it cannot take another one. TERM
and KILL are sent in that state only.
"""

import asyncio
import signal

import msgspec

from signalbox.messages.verdicts import Verdict
from signalbox_agent.child.slot_state import INTERRUPTED, OVER, RUNNING, STORED, SlotState, label
from signalbox_agent.proc import Proc, descendants, ended, stat, variable
from signalbox_controller.agents.cancel_request import CancelRequest
from signalbox_controller.agents.running import Run
from signalbox_controller.agents.slots import Mark, Slots
from signalbox_controller.linux.signals import send
from signalbox_controller.linux.tree import Descendants

#: Seconds without an answer after which a worker counts as stuck, and after which /proc is asked whether it is stopped.
STUCK, STOPPED = 1.0, 0.1
#: Seconds between two polls.
POLL = 0.01
#: Seconds within which a process stops after SIGSTOP; longer only in uninterruptible sleep.
STOP_WITHIN = 0.25
#: The words of a task that is over for good, with its status.
ENDS = {word: status for word, status in STORED.items() if status}


class Worker(msgspec.Struct, frozen=True):
    """The main process of a worker that we launched, and the slots of its children."""

    main: Proc
    slots: Slots

    @property
    def stopped(self) -> bool:
        """Whether a signal, or a debugger, has stopped it."""
        found = stat(self.main.pid)
        return found is not None and found.proc == self.main and found.state in "Tt"

    @property
    def term(self) -> signal.Signals:
        """The signal that asks a child to end: TERM, unless Celery is configured otherwise."""
        name = variable(self.main.pid, b"REMAP_SIGTERM")
        return signal.Signals.__members__.get(name or "", signal.SIGTERM)


class Ended(msgspec.Struct, frozen=True):
    """The result of a cancel without the agent."""

    result: Verdict
    #: The strongest signal that was sent.
    signal: str = "TERM"
    #: How the task had ended by itself.
    status: str = ""

    def words(self, name: str) -> str:
        """The sentence for the answer; `name` is the worker's."""
        if self.result == "cancelled":
            return f"{name} did not answer; the process of the task was ended without it."
        return f"It ended by itself ({self.status or 'how is not known'}); {name} did not answer."


async def unanswered(request: CancelRequest, worker: Worker) -> bool:
    """Wait for an answer; return whether the worker counts as stopped or stuck."""
    for seconds in (STOPPED, STUCK - STOPPED):
        if await request.answered(seconds):
            return False
        if worker.stopped:
            return True
    return True


class CancelWithoutAgent:
    """One task that is being ended without the agent."""

    def __init__(self, request: CancelRequest, run: Run, child: Proc, worker: Worker, kill_at: float) -> None:
        """`run` is what the child ran when we asked; `kill_at` is on the loop's clock."""
        self._request = request
        self._run = run
        self._child = child
        self._worker = worker
        self._kill_at = kill_at
        self._clock = asyncio.get_running_loop().time
        self._descendants = Descendants()
        self._signal = ""

    async def end(self, deadline: float) -> Ended | None:
        """End it, and note its descendants in the request; None when the child is not ours, or time ran out."""
        while self._clock() < deadline and not self._request.done.done():
            if ended(self._child):
                return Ended("cancelled", self._signal) if self._signal else None
            if not self._ours():
                return None
            report = self._report()
            if report is None and self._signal:  # it has gone on to another task: this one has come to some end
                return self._finished("")
            if report is not None and report.word in ENDS:
                return self._finished(ENDS.get(report.word, ""))
            await self._go_on(report)
            self._request.add_strays(self._descendants.find())
            await asyncio.sleep(POLL)
        return None

    def _ours(self) -> bool:
        """Whether the pid still is this child of this worker."""
        found = stat(self._child.pid)
        main = self._worker.main
        return found is not None and found.proc == self._child and found.parent == main.pid and not ended(main)

    def _report(self) -> SlotState | None:
        report = self._worker.slots.read(self._child.pid)
        return report if report is not None and report.task_id == label(self._run.task_id) else None

    def _finished(self, status: str) -> Ended:
        self._worker.slots.unmark(self._child.pid)
        return Ended("finished", self._signal, status)

    async def _go_on(self, report: SlotState | None) -> None:
        """Send the next signal, if it is time; without a report the task's body has not begun."""
        overdue = self._clock() >= self._kill_at
        if report is not None and (overdue or report.word not in {RUNNING, INTERRUPTED, OVER}):
            await self._send(signal.SIGKILL)
        elif report is not None and report.word == RUNNING and not self._signal:
            await self._send(self._worker.term)

    async def _send(self, number: signal.Signals) -> None:
        """Stop the child, read its slot once more, signal it, and in any case let it continue."""
        try:
            if await self._stopped():
                self._signal_it(number)
        finally:
            send(self._child, signal.SIGCONT)

    def _signal_it(self, number: signal.Signals) -> None:
        report = self._report()
        if report is None or report.word in ENDS or not self._ours():
            return
        self._request.contain(self._child)
        self._request.add_strays(self._descendants.find(descendants([self._child.pid])))
        name = "KILL" if number is signal.SIGKILL else "TERM"
        mark = Mark(self._request.line.command_id, self._run.task_id, self._run.run, name)
        if self._worker.slots.mark(self._child.pid, mark):
            self._signal = name
            send(self._child, number)

    async def _stopped(self) -> bool:
        send(self._child, signal.SIGSTOP)
        until = self._clock() + STOP_WITHIN
        while (found := stat(self._child.pid)) is not None and found.proc == self._child:
            if found.state in "Tt":
                return True
            if self._clock() >= until:
                return False
            await asyncio.sleep(0.001)
        return False
