"""The cancels that one agent has yet to answer, and what becomes of the runs that they are about."""

from signalbox.messages.events import AnyTaskEvent, TaskCancelled
from signalbox_agent.cgroup import Cgroup
from signalbox_agent.child.slot_state import SlotState
from signalbox_controller.agents.cancel_request import CancelRequest, WithheldProof
from signalbox_controller.agents.protocol import Cancel, CancelReport
from signalbox_controller.agents.running import HeldRuns, Run, RunningTasks
from signalbox_controller.agents.slots import Slots


class CancelRequests:
    """The open requests of one launch of a worker."""

    def __init__(self, runs: RunningTasks, launch: Cgroup | None) -> None:
        """`launch` is the cgroup of the launch, if it has one."""
        self._runs = runs
        self._launch = launch
        #: By command and task.
        self._open: dict[tuple[str, str], CancelRequest] = {}

    def open(self, line: Cancel) -> tuple[CancelRequest, bool]:
        """The request of this line, and whether it is new: the same command asks about a task once."""
        request = self._open.get((line.command_id, line.task_id))
        if request is not None:
            return request, False
        request = CancelRequest(line, self._runs.of(line.task_id), self._runs.name(line.task_id), self._launch)
        self._open[line.command_id, line.task_id] = request
        if status := self._runs.concluded_as(line.task_id):
            request.on_report(_finished(line, status))
        return request, True

    def lines(self) -> list[Cancel]:
        """What the agent has to be asked again when it has connected anew."""
        return [request.line for request in self._open.values()]

    def close(self, request: CancelRequest) -> list[WithheldProof]:
        """Close a request, and return the proofs that were withheld for it."""
        self._open.pop((request.line.command_id, request.line.task_id), None)
        proofs, request.withheld = request.withheld, []
        return proofs

    def on_report(self, report: CancelReport) -> None:
        """Take in a report of the agent."""
        if (request := self._open.get((report.command_id, report.task_id))) is not None:
            request.on_report(report)

    def withhold(self, event: AnyTaskEvent, seq: int) -> bool:
        """Take in an event of the agent; whether it is the proof of a request, which goes out with its answer."""
        for request in self._about(event.task_id):
            request.name = event.name
            if isinstance(event, TaskCancelled) and request.withhold(WithheldProof(event, seq)):
                return True
        return False

    def has(self, task_id: str) -> bool:
        """Whether a request about this task is open."""
        return bool(self._about(task_id))

    def _about(self, task_id: str) -> list[CancelRequest]:
        return [request for request in self._open.values() if request.line.task_id == task_id]

    def conclude(self, run: Run, state: SlotState | None) -> None:
        """A run is over, and was not reported: it ended by itself in this state, or its process died."""
        self._runs.conclude(run, state)
        if state is None:  # its cancel goes on: what it had started may live
            return
        for request in self._about(run.task_id):
            request.keep([other for other in request.runs if other.run != run.run])
            if not self._runs.of(run.task_id):
                request.on_report(_finished(request.line, state.status or None))

    def end(self, slots: Slots, instance: str) -> HeldRuns:
        """The worker is gone: finish every request, and return the runs that it held and that are in no request."""
        concluded = self._runs.concluded
        ended = [(run, state) for run in self._runs.all() if (state := self._end_of(run, slots))]
        for run, state in ended:
            self.conclude(run, state)
        unseen = self._runs.begun_unseen(slots.all(), instance)
        left = [run for run in self._runs.all() if not slots.went_on(run)]
        for request in self._open.values():  # two may ask about the same task
            request.runs = [run for run in left if run.task_id == request.line.task_id]
            request.finish("cancelled" if request.runs or request.withheld else "unknown")
        self._runs.clear()
        lost = [run for run in left if not self.has(run.task_id)]
        return HeldRuns(lost=lost, ended=ended, unseen=unseen, concluded=concluded)

    def _end_of(self, run: Run, slots: Slots) -> SlotState | None:
        """How it ended by itself; a task that is being cancelled and would come back has not ended."""
        state = slots.of_run(run)
        if state is None or not state.stored or (not state.status and self.has(run.task_id)):
            return None
        return state


def _finished(line: Cancel, status: str | None) -> CancelReport:
    """The report that a task had ended by itself."""
    return CancelReport(command_id=line.command_id, task_id=line.task_id, state="finished", status=status)
