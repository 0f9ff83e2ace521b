"""A cancel in a worker that does not answer, as it is stopped or stuck: the controller ends the child by itself.

The worker's own agent knows for sure what a child runs, and asks it in the same step. From outside it has to be proven:
the process is a child of the worker that we launched, by pid and start time, and while it is stopped, so that it cannot
take another task, it says itself that it runs this one. Every signal that harms is sent in that state only.
"""

import asyncio
import signal

import msgspec

from signalbox_controller.agents.cancel_request import Finding, Inquiry
from signalbox_controller.agents.running import Run
from signalbox_controller.agents.slots import INTERRUPTED, OVER, RUNNING, Mark, Said, Slots
from signalbox_controller.linux import procfs
from signalbox_controller.linux.procfs import Proc
from signalbox_controller.linux.signals import send
from signalbox_controller.linux.tree import Kin

#: Seconds after which a worker that says nothing is taken for stuck; one that is stopped is seen to be.
STUCK, STOPPED = 1.0, 0.1
#: Seconds between looks.
LOOK = 0.01
#: Seconds within which a process stands still after a SIGSTOP; longer only in uninterruptible sleep.
STILL_WITHIN = 0.25
#: How a body ended of which nothing more is to come, by Celery's states; a retry would come back.
ENDS = {"SUCCESS": "completed", "IGNORED": "completed", "FAILURE": "failed", "REJECTED": "failed"}


class Worker(msgspec.Struct, frozen=True):
    """A launch that is ours."""

    main: Proc
    slots: Slots

    @property
    def stopped(self) -> bool:
        """Whether a signal, or a debugger, has stopped it."""
        seen = procfs.stat(self.main.pid)
        return seen is not None and seen.proc == self.main and seen.state in "Tt"

    @property
    def term(self) -> signal.Signals:
        """What asks a child to end: TERM, unless Celery was told otherwise."""
        name = procfs.variable(self.main.pid, b"REMAP_SIGTERM")
        return signal.Signals.__members__.get(name or "", signal.SIGTERM)


class Ended(msgspec.Struct, frozen=True):
    """What came of it."""

    finding: Finding
    #: The strongest signal that was sent.
    signal: str = "TERM"
    #: How the task had ended by itself.
    status: str = ""

    def words(self, name: str) -> str:
        """What a person should know of it; `name` is the worker's."""
        if self.finding == "dead":
            return f"{name} did not answer; the process of the task was ended without it."
        return f"It ended by itself ({self.status or 'how is not known'}); {name} did not answer."


async def unanswered(inquiry: Inquiry, worker: Worker) -> bool:
    """Whether the worker has to be taken for stuck."""
    for seconds in (STOPPED, STUCK - STOPPED):
        if await inquiry.spoken(seconds):
            return False
        if worker.stopped:
            return True
    return True


class Outside:
    """One task that is being ended from outside."""

    def __init__(self, inquiry: Inquiry, run: Run, child: Proc, worker: Worker, kill_at: float) -> None:
        """`run` is what the child ran when we asked; `kill_at` is on the loop's clock."""
        self._inquiry = inquiry
        self._run = run
        self._child = child
        self._worker = worker
        self._kill_at = kill_at
        self._clock = asyncio.get_running_loop().time
        self._kin = Kin()
        self._signal = ""

    async def end(self, deadline: float) -> Ended | None:
        """End it, and what descends from it stays with the inquiry; None when it is not for us to do so, or in vain."""
        while self._clock() < deadline and not self._inquiry.done.done():
            if not procfs.alive(self._child):
                return Ended("dead", self._signal) if self._signal else None
            if not self._ours():
                return None
            said = self._said()
            if said is None and self._signal:  # it has gone on to another task: this one has come to some end
                return self._finished("")
            if said is not None and self._is_over(said):
                return self._finished(ENDS.get(said.word, ""))
            await self._go_on(said)
            self._inquiry.saw(self._kin.look())
            await asyncio.sleep(LOOK)
        return None

    def _ours(self) -> bool:
        """Whether this still is that child of that worker."""
        seen = procfs.stat(self._child.pid)
        main = self._worker.main
        return seen is not None and seen.proc == self._child and seen.parent == main.pid and procfs.alive(main)

    def _said(self) -> Said | None:
        said = self._worker.slots.read(self._child.pid)
        return said if said is not None and said.task_id == self._run.task_id else None

    @staticmethod
    def _is_over(said: Said) -> bool:
        return said.word in ENDS

    def _finished(self, status: str) -> Ended:
        self._worker.slots.unmark(self._child.pid)
        return Ended("finished", self._signal, status)

    async def _go_on(self, said: Said | None) -> None:
        """The next signal, if it is time for one; said is None as long as the task's body has not begun."""
        overdue = self._clock() >= self._kill_at
        if said is not None and (overdue or said.word not in {RUNNING, INTERRUPTED, OVER}):
            await self._send(signal.SIGKILL)
        elif said is not None and said.word == RUNNING and not self._signal:
            await self._send(self._worker.term)

    async def _send(self, number: signal.Signals) -> None:
        """Stop it, look once more, and only then signal it; whatever comes of that, it does not stay stopped."""
        try:
            if await self._still():
                self._signal_it(number)
        finally:
            send(self._child, signal.SIGCONT)

    def _signal_it(self, number: signal.Signals) -> None:
        said = self._said()
        if said is None or self._is_over(said) or not self._ours():
            return
        self._inquiry.saw(self._kin.look(procfs.descendants(self._child.pid)))
        name = "KILL" if number is signal.SIGKILL else "TERM"
        mark = Mark(self._inquiry.line.command_id, self._run.task_id, self._run.run, name)
        if self._worker.slots.mark(self._child.pid, mark):
            self._signal = name
            send(self._child, number)

    async def _still(self) -> bool:
        send(self._child, signal.SIGSTOP)
        until = self._clock() + STILL_WITHIN
        while (seen := procfs.stat(self._child.pid)) is not None and seen.proc == self._child:
            if seen.state in "Tt":
                return True
            if self._clock() >= until:
                return False
            await asyncio.sleep(0.001)
        return False
