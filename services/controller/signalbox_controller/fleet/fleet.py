"""Fleet of a host: its supervised processes, and the desired state of each."""

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from signalbox.messages.commands import DEFAULT_GRACE
from signalbox.messages.events import ProcessChanged
from signalbox.messages.receipts import ProcessReport
from signalbox.service import Jobs
from signalbox_agent.proc import boot_id
from signalbox_controller.agents.session import Agent
from signalbox_controller.agents.slots import Slots
from signalbox_controller.beat_lease.leases import Leases
from signalbox_controller.cancelling.without_agent import Worker
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.external.refused import name_for
from signalbox_controller.external.workers import ExternalWorkers
from signalbox_controller.fleet.known_runs import KnownRuns
from signalbox_controller.fleet.left_behind import owners
from signalbox_controller.fleet.plan import Present
from signalbox_controller.launch.launches import Launch
from signalbox_controller.launch.strays import spec_of, strays
from signalbox_controller.logs.logfile import LogFile
from signalbox_controller.processes.context import HostContext
from signalbox_controller.processes.desired import Desired, DesiredStates
from signalbox_controller.processes.instance import Instance
from signalbox_controller.processes.machine import ALIVE
from signalbox_controller.processes.supervisor import Mode, Supervised
from signalbox_controller.words import Order

log = logging.getLogger(__name__)

#: Seconds that a stop may take beyond its time-out: for KILL, and until all processes are gone.
BEYOND = 6.0
#: Seconds in which a worker lists what it holds: one whose agent is older does so every ten.
LIST_WITHIN = 11.0
#: The spec of a process that has ended, and of which an older release noted only its name.
NOTHING_KNOWN: Final = ProcessSpec(
    name="",
    kind="worker",
    app="",
    label="",
    directory=Path(),
    python="",
    environment={},
    options=(),
    stop_timeout=30.0,
)


class WatchedWorker(NamedTuple):
    """A process that runs, as the checks of its tasks see it."""

    instance: str
    agent: Agent
    slots: Slots
    #: Of its main process.
    pid: int


class Fleet:
    """The processes by name."""

    def __init__(
        self,
        specs: Iterable[ProcessSpec],
        context: HostContext,
        desired_states: DesiredStates,
        leases: Leases,
        external: ExternalWorkers,
        known_runs: KnownRuns,
    ) -> None:
        #: What its workers ran when a controller last looked.
        self.known_runs = known_runs
        #: The workers that are not ours to start or stop.
        self.external = external
        #: The leases of its beats.
        self.leases = leases
        self._context = context
        self._desired_states = desired_states
        self._writing = asyncio.Lock()
        self._jobs = Jobs("processes that are no longer configured")
        external.ours = lambda: self._processes
        self._processes = {spec.name: leases.supervise(spec, context, desired_states.of(spec.name)) for spec in specs}

    def open(self) -> None:
        """Adopt the processes that run, launch those that should run, stop those that should not."""
        self.external.open()
        self._seed_external()
        left = self._left_behind()
        for name, launch in left.items():
            self._adopt(name, launch)
        for name, process in self._processes.items():
            process.status.publish()
            if process.status.desired == "running" and name not in left:
                process.start()
            elif name in left and (stop := self._context.stop_orders.of(name)):
                process.resume_stop(stop)
            elif name in left and process.configured and process.status.desired == "stopped":
                process.stop(Order(by="an earlier command"))

    def _left_behind(self) -> dict[str, Launch]:
        """The launches of former controllers by the name of their process, each under a name of its own."""
        launches, launcher = self._context.launches, self._context.launcher
        left = launches.left_behind()
        known = {launch.instance for launch in left.values()}
        for stray in strays(launcher.is_ours, known, launcher.environ, self._context.containment.cgroup):
            name = self._free_name(stray.spec.name if stray.spec else "", stray, left)
            log.warning("%s (instance %s) was launched by us, and was on no record", name, stray.instance)
            left[name] = stray
            launches.note(name, stray)
        new_names = owners(left, [process.spec for process in self._processes.values()])
        for name, launch in left.items():
            if name not in new_names:
                new_names[name] = self._free_name(name, launch, left) if name in self._processes else name
                self._add_unconfigured(new_names[name], launch)
        launches.rename(new_names)
        self._context.stop_orders.rename(new_names)
        return {new_names[name]: launch for name, launch in left.items()}

    def _free_name(self, name: str, launch: Launch, left: Collection[str]) -> str:
        external = {report.name for report in self.external.reports()}
        return name_for(name, launch.proc.pid if launch.proc else 0, {*self._processes, *left, *external})

    def _add_unconfigured(self, name: str, launch: Launch) -> None:
        """Show a process that the file does not name as long as there is something of it."""
        environ, pid = self._context.launcher.environ, launch.proc.pid if launch.proc else 0
        spec = launch.spec or spec_of(pid, environ) or NOTHING_KNOWN
        spec = msgspec.structs.replace(spec, name=name)
        process = self._processes[name] = self.leases.supervise(spec, self._context, "stopped", configured=False)
        log.warning("%s (pid %d) is no longer configured: it is shown, and not launched again", name, pid)
        self._jobs.begin(self._remove_when_ended(process))

    async def _remove_when_ended(self, process: Supervised) -> None:
        """Take a process out once it has ended, unless it was configured again meanwhile."""
        await process.status.until(lambda: process.configured or process.ended, math.inf)
        if not process.configured and self._processes.get(process.spec.name) is process:
            del self._processes[process.spec.name]

    def _adopt(self, name: str, launch: Launch) -> None:
        if launch.proc is None:
            return
        # The machine's own end is no failure of the process: it is started again whatever its policy.
        asked = launch.gone and launch.boot != boot_id()
        self._processes[name].adopt(launch, launch.proc, asked=asked)
        self._seed(None if asked else self._processes[name].instance)

    def present(self) -> dict[str, Present]:
        """The processes by name, as an edited configuration is compared with them."""
        return {name: _present(process) for name, process in self._processes.items()}

    def reconfigure(self, specs: Sequence[ProcessSpec]) -> None:
        """Take these specs in place of all former ones; what has to be started, stopped or restarted is for later."""
        wanted = {spec.name: spec for spec in specs}
        for name, spec in wanted.items():
            desired = self._desired_states.of(name)
            if (process := self._processes.get(name)) is None:
                process = self._processes[name] = self.leases.supervise(spec, self._context, desired)
            process.reconfigure(spec, desired)
        for name, process in self._processes.items():
            if name not in wanted and process.configured:
                process.unconfigure()
                self._jobs.begin(self._remove_when_ended(process))

    def beats_no_longer_configured(self, names: Collection[str]) -> list[str]:
        """The beats that the file has no more and that live: those of these names, and all that are being stopped."""
        return [
            name
            for name, process in self._processes.items()
            if process.spec.kind == "beat"
            and not process.configured
            and not process.ended
            and (name in names or process.status.state in {"draining", "stopping"})
        ]

    def worker_of(self, agent: Agent) -> Worker | None:
        """The worker of this agent, if it is supervised; None when it has ended."""
        for process in self._processes.values():
            if process.instance and process.instance.agent is agent:
                return Worker(process.instance.main, self._slots(process, process.instance))
        return None

    def _slots(self, process: Supervised, instance: Instance) -> Slots:
        return Slots(self._context.launcher.socket_of(process.running_spec), instance.id)

    def logs(self) -> list[LogFile]:
        """The log of each process."""
        return [process.log for process in self._processes.values()]

    def detach(self) -> None:
        """Stop supervising; all processes run on."""
        self.external.detach()
        for process in self._processes.values():
            process.detach()

    def workers_beside(self, spec: ProcessSpec) -> list[Supervised]:
        """The other workers of the same application."""
        everyone = self._processes.values()
        return [
            one for one in everyone if one.spec.kind == "worker" and one.spec.label == spec.label and one.spec != spec
        ]

    def select(self, names: Sequence[str]) -> list[Supervised]:
        """The processes of these names; all of them when no name is given."""
        return [process for name, process in self._processes.items() if not names or name in names]

    async def set_desired(self, processes: Sequence[Supervised], desired: Desired) -> None:
        """Note the desired state on disk, of those that are configured."""
        names = [process.spec.name for process in processes if process.configured]
        async with self._writing:
            await asyncio.to_thread(self._desired_states.note_all, names, desired)

    async def stop(
        self, processes: Sequence[Supervised], order: Order, mode: Mode, timeout: float | None = None
    ) -> list[ProcessReport]:
        """Stop them all at once; return when each is gone, or outlived its time-out (seconds) and KILL."""
        patience = [process.spec.stop_timeout if timeout is None else timeout for process in processes]
        seconds = BEYOND + (max(patience, default=0.0) if mode == "graceful" else 0.0)
        for process in processes:
            process.stop(order, mode, timeout)
        await _all(processes, _absent, seconds)
        return [process.stopped() for process in processes]

    async def start(self, processes: Sequence[Supervised]) -> list[ProcessReport]:
        """Start them all at once; return when each consumes, or has failed."""
        for process in processes:
            process.start()
        # Its agent has to connect within the time-out, and within another one it has to consume.
        patience = max((2 * process.spec.start_timeout for process in processes), default=0.0)
        await _all(processes, lambda process: process.decided, BEYOND + patience)
        return [process.status.report() for process in processes]

    async def until(self, processes: Sequence[Supervised], met: Callable[[], bool], seconds: float) -> bool:
        """Wait for a change of one of them after which `met` holds, for at most so long; return whether it does."""
        if met() or not processes:
            return met()
        looks = [asyncio.ensure_future(process.status.until(met, seconds)) for process in processes]
        try:
            await asyncio.wait(looks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for look in looks:
                look.cancel()
        return met()

    def status(self) -> tuple[ProcessChanged, ...]:
        """The status of every process."""
        supervised = [one.status for one in self._processes.values()]
        others = [one.status for one in self.external.select()] + [one.status for one in self.external.refused.all()]
        return tuple(status.event() for status in supervised + others)

    def nodes(self) -> dict[str, bool]:
        """The node names of all workers, and whether each has an agent, or may get one."""
        workers = [process for process in self._processes.values() if process.status.node]
        ours = {one.status.node: one.instance is None or not one.instance.agent.missing for one in workers}
        refused = {worker.status.node: False for worker in self.external.refused.all() if worker.status.node}
        return ours | refused | {worker.note.node: not worker.agent.missing for worker in self.external.select()}

    @property
    def empty(self) -> bool:
        """Whether nothing runs, and nothing is left of what ran."""
        return not self._agents() and not any(process.lingers for process in self._processes.values())

    @property
    def complete(self) -> bool:
        """Whether `running` is complete: the agent of every adopted worker has reported what it runs."""
        return all(agent.complete for agent in self._agents())

    def running(self) -> tuple[tuple[str, str], ...]:
        """The tasks that run now, with their run ids."""
        return tuple((run.task_id, run.run) for agent in self._agents() for run in agent.runs.all())

    def _seed(self, adopted: Instance | None) -> None:
        """Begin with the runs that are known of an adopted worker, unless those of a stop are, which are newer."""
        if adopted is not None and not adopted.agent.runs.all():
            adopted.agent.runs.seed(self.known_runs.of(adopted.id))

    def _seed_external(self) -> None:
        for worker in self.external.select():
            worker.agent.runs.seed(self.known_runs.of(worker.instance))

    def watched(self) -> list[WatchedWorker]:
        """Every process that runs, external workers, too."""
        ours = [
            WatchedWorker(one.id, one.agent, self._slots(process, one), one.main.pid)
            for process in self._processes.values()
            if (one := process.instance)
        ]
        socket = self._context.launcher.socket
        return ours + [
            WatchedWorker(one.instance, one.agent, Slots(socket, one.instance), one.note.proc.pid)
            for one in self.external.select()
        ]

    async def held(self) -> frozenset[str] | None:
        """The tasks that the workers hold, waiting or running; None when one of those that run does not list them."""
        ours = (one for one in self._processes.values() if one.instance and one.spec.kind == "worker")
        agents = [one.instance.agent for one in ours if one.instance] + [one.agent for one in self.external.select()]
        answers = await asyncio.gather(*(agent.held(LIST_WITHIN) for agent in agents))
        held = [answer for answer in answers if answer is not None]
        return frozenset().union(*held) if len(held) == len(agents) else None

    def _agents(self) -> list[Agent]:
        """The agents of all processes that run, and of external workers."""
        ours = [process.instance.agent for process in self._processes.values() if process.instance]
        return [*ours, *(worker.agent for worker in self.external.select())]

    def grace(self, name: str) -> float:
        """Seconds between TERM and KILL for a cancelled task of a process; an external worker has no configuration."""
        process = self._processes.get(name)
        return DEFAULT_GRACE if process is None else process.spec.kill_after


def _present(process: Supervised) -> Present:
    return Present(
        spec=process.spec,
        running=process.instance.spec if process.instance else None,
        active=not process.ended or process.status.state == "backoff",
        wanted=process.status.desired == "running",
        configured=process.configured,
    )


def _absent(process: Supervised) -> bool:
    """Gone, or to run again by a later command."""
    return process.status.state not in ALIVE or process.lingers or process.status.desired == "running"


async def _all(processes: Sequence[Supervised], met: Callable[[Supervised], bool], seconds: float) -> None:
    await asyncio.gather(*(process.status.until(partial(met, process), seconds) for process in processes))
