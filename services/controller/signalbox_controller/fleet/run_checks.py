"""Checks of the running tasks: in rounds, each is compared with its process and with what that wrote in its slot.

A worker reports the ends of its tasks, unless it hangs: then a child may finish, or die, and nobody says so. An end
that was found and that its worker has not reported for some rounds is reported in its place. Should the worker go on
and report it, too, the record keeps the earlier of the two.
"""

import asyncio

import msgspec

from signalbox_agent.child.slot_state import SlotState
from signalbox_agent.proc import Proc, ended, identify
from signalbox_controller import words
from signalbox_controller.agents.running import Run
from signalbox_controller.agents.session import Agent
from signalbox_controller.agents.slots import Slots
from signalbox_controller.fleet.fleet import Fleet, WatchedWorker
from signalbox_controller.linux.procfs import code_of
from signalbox_controller.state.outbox import Outbox

#: Seconds between two rounds. A round takes about 50 µs for each running task.
EVERY = 1.0
#: Rounds that a worker has to report an end, when it gives no sign of life and when it does: Celery notices the death
#: of a child after up to 5 s, and may then ask a result backend that is slow.
SILENT, ANSWERING = 3, 30
#: The error of a task whose process died.
DIED = "While its worker did not answer, the process {pid} that ran it died"


class Finding(msgspec.Struct):
    """What was found of one run, in round after round."""

    #: Its process; None when it was gone at the first look.
    child: Proc | None
    #: How it ended by itself, as far as is known.
    state: SlotState | None = None
    rounds: int = 0
    #: How its process ended, in words: known while its worker has not reaped it.
    how: str = ""

    def over(self, run: Run, slots: Slots) -> bool:
        """Look again; answer whether the run is over."""
        gone = self.child is None or ended(self.child)
        if gone and self.child is not None and (code := code_of(self.child)) is not None:
            self.how = f": {words.exit_words(code)}"
        state = slots.of_run(run)
        if state is not None and state.stored:
            self.state = state
        over = gone or self.state is not None
        self.rounds = self.rounds + 1 if over else 0
        return over


class RunChecks:
    """The rounds of one host."""

    def __init__(self, host: str, fleet: Fleet, outbox: Outbox) -> None:
        self._host = host
        self._fleet = fleet
        self._outbox = outbox
        self._findings: dict[tuple[str, str], Finding] = {}

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            self.look()

    def look(self) -> None:
        """Take one round."""
        workers = self._fleet.watched()
        self._fleet.known_runs.update({one.instance: one.agent.runs.all() for one in workers})
        findings, self._findings = self._findings, {}
        for worker in workers:
            for run in worker.agent.runs.all():
                if run.pid != worker.pid:  # else it shares the worker's process
                    finding = self._findings[run.task_id, run.run] = findings.get((run.task_id, run.run)) or Finding(
                        identify(run.pid)
                    )
                    self._check(worker, run, finding)

    def _check(self, worker: WatchedWorker, run: Run, finding: Finding) -> None:
        agent = worker.agent
        asked = agent.is_asked_about(run.task_id)
        if finding.over(run, worker.slots) and due(finding, mute=agent.mute, asked=asked):
            self._report(agent, run, finding)

    def _report(self, agent: Agent, run: Run, finding: Finding) -> None:
        agent.conclude(run, finding.state)
        if finding.state is not None:
            self._outbox.put(run.ended(self._host, finding.state))
        else:
            error = DIED.format(pid=run.pid) + finding.how
            agent.events.publish_death(run.failed(self._host, "worker_lost", error))


def due(finding: Finding, *, mute: bool, asked: bool) -> bool:
    """Whether the end of a run is to be reported in place of its worker.

    Args:
        finding: what was found of it.
        mute: whether the worker gives no sign of life.
        asked: whether the run is being cancelled: then the death of its process is not the end of that.
    """
    if asked and not (finding.state is not None and finding.state.status):
        return False
    return finding.rounds >= (SILENT if mute else ANSWERING)
