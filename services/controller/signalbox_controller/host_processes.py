"""Host processes, the half of the composition root that supervises: launcher, agents' sockets, fleet, watches."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager

import msgspec
from redis.asyncio import Redis

from signalbox.local.protocol import Unseen
from signalbox.service import Loop
from signalbox.settings import Settings
from signalbox_controller.agentless.watch import AgentlessWatch
from signalbox_controller.agentless.watches import AgentlessWatches
from signalbox_controller.agents.child_deaths import ChildDeaths
from signalbox_controller.agents.server import Agents
from signalbox_controller.beat_lease.fencing import FencingTokens
from signalbox_controller.beat_lease.leases import Leases
from signalbox_controller.broker.pending_events import PendingEvents
from signalbox_controller.broker.redelivery import Redelivery
from signalbox_controller.cancelling.cancelled_ids import CancelledIds
from signalbox_controller.config.folders import Folders
from signalbox_controller.config.settings import Configuration
from signalbox_controller.external.folder import write_folder
from signalbox_controller.external.notes import Notes
from signalbox_controller.external.unseen import unseen_workers
from signalbox_controller.external.workers import ExternalWorkers
from signalbox_controller.fleet.fleet import Fleet
from signalbox_controller.fleet.known_runs import KnownRuns
from signalbox_controller.fleet.run_checks import RunChecks
from signalbox_controller.launch.agent_copies import copy_agent
from signalbox_controller.launch.launcher import WITHHELD, Launcher, inheritable, other_account, withheld
from signalbox_controller.launch.launches import Launches
from signalbox_controller.launch.user_folders import user_folders
from signalbox_controller.linux.cgroups import Containment, containment
from signalbox_controller.linux.out_of_memory import OutOfMemory
from signalbox_controller.linux.reaper import Reaper, become_subreaper
from signalbox_controller.logs.rotation import rotate
from signalbox_controller.processes.context import HostContext
from signalbox_controller.processes.desired import DesiredStates
from signalbox_controller.processes.stop_orders import StopOrders
from signalbox_controller.state.outbox import Outbox

log = logging.getLogger(__name__)


class HostProcesses(msgspec.Struct, frozen=True, kw_only=True):
    """The processes of this host, its own and those that others launched, and what supervises them."""

    context: HostContext
    fleet: Fleet
    watches: AgentlessWatches
    checks: RunChecks
    #: The users other than ours that processes run as, and their numbers.
    users: Mapping[str, int]
    folders: Folders

    @asynccontextmanager
    async def supervised(self) -> AsyncIterator[None]:
        """Supervise for the duration of the block, and leave the processes running at its end."""
        async with self._listening():
            self.context.pending_events.open()
            self.fleet.open()
            try:
                yield
            finally:
                self.fleet.detach()

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        """The sockets for agents."""
        agents, launcher = self.context.agents, self.context.launcher
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(agents.listening(launcher.socket))
            if launcher.user_folders:
                users = {0, os.getuid(), *self.users.values()}
                await stack.enter_async_context(agents.listening(launcher.user_folders.socket, users))
            yield

    def loops(self) -> tuple[Loop, ...]:
        """What runs beside the processes."""
        context = self.context
        return (
            context.reaper.run,
            context.memory.follow,
            context.redelivery.run,
            context.agents.check,
            self.checks.run,
            self.rotate_logs,
            self.fleet.leases.run,
            self.watches.run,
        )

    async def rotate_logs(self) -> None:
        """Keep all logs within their limits, until cancelled."""
        await rotate(self.fleet.logs() + self.watches.logs())

    async def unseen(self) -> Unseen:
        """The workers that no agent speaks for."""
        known = {process.pid for process in self.fleet.status() if process.pid}
        workers = await asyncio.to_thread(unseen_workers, known, self.folders.guest)
        return Unseen(workers=tuple(workers), nodes=tuple(self.watches.nodes()))


@contextmanager
def host_processes(
    host: str,
    settings: Settings,
    configuration: Configuration,
    environ: Mapping[str, str],
    folders: Folders,
    redis: Redis,
    outbox: Outbox,
    cancelled_ids: CancelledIds,
) -> Iterator[HostProcesses]:
    """Put together what supervises the processes of this host; nothing is launched yet."""
    launches = Launches(folders.state / "instances.json")
    users = _users(configuration, launches)
    launcher = _launcher(host, folders, settings, environ, others=bool(users))
    with ExitStack() as stack:
        contained = stack.enter_context(containment(settings.data, off=settings.cgroups == "off"))
        context = _context(stack, folders, configuration, launcher, launches, outbox, cancelled_ids, contained)
        fleet = _fleet(redis, context, folders, configuration)
        watches = [AgentlessWatch(spec, context, outbox) for spec in configuration.watches]
        yield HostProcesses(
            context=context,
            fleet=fleet,
            watches=AgentlessWatches(watches, redis, fleet),
            checks=RunChecks(host, fleet, outbox),
            users=users,
            folders=folders,
        )


def _users(configuration: Configuration, launches: Launches) -> dict[str, int]:
    """The users other than ours that processes run as, also those that a former controller left, and their numbers."""
    left = [launch.spec for launch in launches.value.values() if launch.spec]
    names = {spec.runs_as for spec in (*configuration.processes, *left)}
    return {name: account.uid for name in names if (account := other_account(name))}


def _launcher(host: str, folders: Folders, settings: Settings, environ: Mapping[str, str], *, others: bool) -> Launcher:
    """The launcher; `others` tells that there are processes that run as other users."""
    for name in withheld(environ, settings):
        log.info("Variable %s: %s", name, WITHHELD)
    users = user_folders(settings.data, folders.cancelled) if others else None
    if users:
        users.open()
    return Launcher(
        host=host,
        logs=folders.logs,
        state=folders.state,
        agent=copy_agent(folders.agent),
        socket=folders.socket,
        environ=inheritable(environ, settings),
        user_folders=users,
    )


def _context(
    stack: ExitStack,
    folders: Folders,
    configuration: Configuration,
    launcher: Launcher,
    launches: Launches,
    outbox: Outbox,
    cancelled_ids: CancelledIds,
    contained: Containment,
) -> HostContext:
    """The context of the processes of this host; `stack` closes it."""
    reaper = stack.enter_context(_reaping())
    memory = stack.enter_context(closing(OutOfMemory()))
    agents = Agents(launcher.host, outbox, ChildDeaths(reaper, memory), cancelled_ids.ids, cancelled_ids.allowed)
    cancelled_ids.on_new, cancelled_ids.on_allowed = agents.refuse, agents.allow
    return HostContext(
        host=launcher.host,
        launcher=launcher,
        reaper=reaper,
        agents=agents,
        launches=launches,
        stop_orders=StopOrders(folders.state / "orders.json"),
        memory=memory,
        redelivery=Redelivery(folders.state / "returns.json", configuration.processes, launcher, reaper),
        pending_events=PendingEvents(folders.state / "wills", outbox),
        publish=outbox.put,
        logs=configuration.logs,
        containment=contained,
    )


@contextmanager
def _reaping() -> Iterator[Reaper]:
    """Adopt orphans, and reap them as soon as they die."""
    become_subreaper()
    reaper, loop = Reaper(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGCHLD, reaper.reap)
    try:
        yield reaper
    finally:
        loop.remove_signal_handler(signal.SIGCHLD)


def _fleet(redis: Redis, context: HostContext, folders: Folders, configuration: Configuration) -> Fleet:
    """The processes of this host, its own and those that others launched."""
    write_folder(folders.guest, folders.socket)
    own = configuration.processes
    external = ExternalWorkers(context, Notes(folders.state / "guests.json"))
    context.agents.admit_external = external.admit
    leases = Leases(redis, context.host, FencingTokens(folders.state / "leases.json"))
    desired, known_runs = DesiredStates(folders.state / "desired.json"), KnownRuns(folders.state / "running.json")
    return Fleet(own, context, desired, leases, external, known_runs)
