"""One cancel of one task, as requested from one agent."""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence

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

    def __init__(self, line: Cancel, runs: Sequence[Run], name: str, launch: Cgroup | None = None) -> None:
        """`launch` is the cgroup of the worker's launch."""
        self.line = line
        #: What we knew of the task before we asked.
        self.runs = runs
        self.name = name
        self.withheld: list[WithheldProof] = []
        self.report: CancelReport | None = None
        self._children = {run.pid: identify(run.pid) for run in runs}
        self._asked_at = ticks_now()
        self._seen: dict[Proc, None] = {}
        self._launch = launch
        #: The cgroups that hold, or held, what its runs have started, by name; None where that has to be searched for.
        self._cgroups: dict[str, Cgroup | None] = {}
        for child in filter(None, self._children.values()):  # should its worker die before it answers
            self.contain(child)
        self._answered = asyncio.Event()
        self.done: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()

    def on_report(self, report: CancelReport) -> None:
        """Take in a report of the agent."""
        self.report = report
        self._answered.set()
        if report.state == "dead":
            self._cgroups = {name: self._named(name) for name in report.cgroups}
        if report.state == "signalled":
            if report.pid is not None and self._children.get(report.pid) is None:
                self._children[report.pid] = identify(report.pid)
        else:
            self.finish("cancelled" if report.state == "dead" else report.state)

    def withhold(self, proof: WithheldProof) -> bool:
        """Withhold a proof, if it is one of this request; return whether it is."""
        ours = proof.event.command_id == self.line.command_id
        if ours:
            self.withheld.append(proof)
        return ours

    def finish(self, result: Verdict) -> None:
        """Set the result; a later one changes nothing."""
        self._answered.set()
        if not self.done.done():
            self.done.set_result(result)

    @property
    def result(self) -> Verdict:
        """The result, or `unproven` while there is none."""
        return self.done.result() if self.done.done() else "unproven"

    @property
    def held(self) -> bool:
        """Whether the worker was known to run the task, or to have it wait, when it was asked."""
        return bool(self.runs or self.name)

    def children(self) -> list[Proc]:
        """The processes of the ended runs that are still there; none that are gone, or were the worker's own.

        A process that has the pid of one and was started after we asked is another one.
        """
        if self.report is not None and self.report.shared:
            return []
        pids = {proof.event.pid for proof in self.withheld}
        if self.report is not None and self.report.pid is not None:
            pids.add(self.report.pid)
        if self.report is None or self.report.state != "dead":  # that of several runs may have ended by itself
            pids.update(run.pid for run in self.runs)
        found = [self._child(pid) for pid in pids]
        return [child for child in found if child is not None and present(child)]

    def _child(self, pid: int) -> Proc | None:
        if (known := self._children.get(pid)) is not None:
            return known
        seen = identify(pid)
        return seen if seen is not None and seen.started <= self._asked_at else None

    def keep(self, runs: Sequence[Run]) -> None:
        """Only these of its runs are ended by it; a child whose run ended by itself lives, and may have another one."""
        self.runs, pids = runs, {run.pid for run in runs}
        for child in filter(None, self._children.values()):
            if child.pid not in pids:
                self._cgroups.pop(name_for(child), None)

    def contain(self, child: Proc) -> None:
        """Note the cgroup of a process of the task, if it is in one of its own."""
        own = self._named(name_for(child))
        self._cgroups[name_for(child)] = own if own is not None and own.has(child.pid) else None

    def _named(self, name: str) -> Cgroup | None:
        return self._launch.below(name) if self._launch and proc_of(name) is not None else None

    @property
    def cgroups(self) -> list[Cgroup]:
        """The cgroups that hold, or held, what the task has started."""
        return [cgroup for cgroup in self._cgroups.values() if cgroup is not None]

    @property
    def contained(self) -> bool:
        """Whether all that it has started is, or was, in these; else it has to be searched for."""
        return bool(self._cgroups) and None not in self._cgroups.values()

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
