"""One cancel of one task, as requested from one agent."""

import asyncio
import contextlib
from collections.abc import Iterable

import msgspec

from signalbox.messages.events import TaskCancelled
from signalbox.messages.verdicts import Verdict
from signalbox_agent.cgroup import Cgroup, name_for, proc_of
from signalbox_agent.proc import Proc, identify, present
from signalbox_controller.agents.protocol import Cancel, CancelReport
from signalbox_controller.agents.running import Run
from signalbox_controller.linux.procfs import ticks_now


class WithheldProof(msgspec.Struct, frozen=True):
    """A proof of the agent, withheld until the controller has searched for itself."""

    event: TaskCancelled
    seq: int


class CancelRequest:
    """A request that stays open across reconnects, until the agent's final report or our deadline."""

    def __init__(self, line: Cancel, run: Run | None, name: str, launch: Cgroup | None = None) -> None:
        """`launch` is the cgroup of the worker's launch."""
        self.line = line
        #: What we knew of the task before we asked.
        self.run = run
        self.name = name
        self.withheld: WithheldProof | None = None
        self.report: CancelReport | None = None
        self._child = identify(run.pid) if run else None
        self._asked_at = ticks_now()
        self._seen: dict[Proc, None] = {}
        self._launch = launch
        self._cgroup: Cgroup | None = None
        if self._child is not None:  # should its worker die before it answers
            self.contain(self._child)
        self._answered = asyncio.Event()
        self.done: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()

    def on_report(self, report: CancelReport) -> None:
        """Take in a report of the agent."""
        self.report = report
        self._answered.set()
        if report.state == "dead":
            named = self._launch is not None and proc_of(report.cgroup) is not None
            self._cgroup = self._launch.below(report.cgroup) if self._launch and named else None
        if report.state == "signalled":
            if report.pid is not None and (self._child is None or self._child.pid != report.pid):
                self._child = identify(report.pid)
        else:
            self.finish("cancelled" if report.state == "dead" else report.state)

    def withhold(self, proof: WithheldProof) -> bool:
        """Withhold a proof, if it is the proof of this request; return whether it is."""
        if self.withheld is not None or proof.event.command_id != self.line.command_id:
            return False
        self.withheld = proof
        return True

    def finish(self, result: Verdict) -> None:
        """Set the result; a later one changes nothing."""
        self._answered.set()
        if not self.done.done():
            self.done.set_result(result)

    @property
    def result(self) -> Verdict:
        """The result, or `unproven` while there is none."""
        return self.done.result() if self.done.done() else "unproven"

    def child(self) -> Proc | None:
        """The task's process if it is still there; None when it is gone, or when it was the worker's own.

        A process that has its pid and was started after we asked is another one.
        """
        if self.report is not None and self.report.shared:
            return None
        pid = self.report.pid if self.report and self.report.pid is not None else None
        if self._child is not None and pid in {None, self._child.pid}:
            return self._child if present(self._child) else None
        seen = identify(pid) if pid is not None else None
        return seen if seen is not None and seen.started <= self._asked_at else None

    def contain(self, child: Proc) -> None:
        """Note the cgroup of the task's process, if it is in one of its own."""
        own = self._launch.below(name_for(child)) if self._launch else None
        if own is not None and own.has(child.pid):
            self._cgroup = own

    @property
    def cgroup(self) -> Cgroup | None:
        """The cgroup that holds, or held, what the task has started; None where that has to be searched for."""
        return self._cgroup

    async def answered(self, seconds: float) -> bool:
        """Wait for the first report of the agent; answer whether one came within `seconds`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._answered.wait(), seconds)
        return self._answered.is_set()

    def add_strays(self, procs: Iterable[Proc]) -> None:
        """Note processes that the controller itself has seen below the task's."""
        self._seen.update(dict.fromkeys(procs))

    def strays(self) -> list[Proc]:
        """The processes that were seen below the task's and are still there."""
        listed = [Proc(pid, ticks) for pid, ticks in (self.report.strays if self.report else [])]
        return [proc for proc in dict.fromkeys([*listed, *self._seen]) if present(proc)]
