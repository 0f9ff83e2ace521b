"""The service, composition root of a controller: every part is made and put together here."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from functools import partial

from redis.asyncio import Redis
from redis.exceptions import RedisError

from signalbox.bus import names
from signalbox.bus.cancelled import LIMIT as CANCELLED_LIMIT
from signalbox.bus.clock import BusClock
from signalbox.bus.connection import connect
from signalbox.bus.consumer import Consumer
from signalbox.errors import BusUnavailable
from signalbox.local.protocol import Unseen
from signalbox.service import Jobs, background
from signalbox.settings import Settings
from signalbox_controller.agentless.watch import AgentlessWatch
from signalbox_controller.agentless.watches import AgentlessWatches
from signalbox_controller.agents.child_deaths import ChildDeaths
from signalbox_controller.agents.server import Agents
from signalbox_controller.beat_lease.fencing import FencingTokens
from signalbox_controller.beat_lease.leases import Leases
from signalbox_controller.broker.pending_events import PendingEvents
from signalbox_controller.broker.program import Programs
from signalbox_controller.broker.redelivery import Redelivery
from signalbox_controller.cancelling.cancelled_ids import CancelledIds, pending_intents
from signalbox_controller.commands.admission import Admission
from signalbox_controller.commands.apply import Configurations
from signalbox_controller.commands.deduplication import LIMIT as COMMANDS_LIMIT
from signalbox_controller.commands.deduplication import Deduplication
from signalbox_controller.commands.dispatcher import Dispatcher
from signalbox_controller.commands.local_socket import LocalSocket
from signalbox_controller.commands.ports import Ports
from signalbox_controller.commands.reader import Reader
from signalbox_controller.config.folders import Folders, link_cancelled, lock, prepare
from signalbox_controller.config.settings import Configuration, load
from signalbox_controller.external.folder import write_folder
from signalbox_controller.external.notes import Notes
from signalbox_controller.external.unseen import unseen_workers
from signalbox_controller.external.workers import ExternalWorkers
from signalbox_controller.fleet.fleet import Fleet
from signalbox_controller.fleet.known_runs import KnownRuns
from signalbox_controller.fleet.rolling_lock import RollingLock
from signalbox_controller.fleet.run_checks import RunChecks
from signalbox_controller.host.heartbeat import Heartbeat
from signalbox_controller.host.hostname import HostName
from signalbox_controller.host.waiting import WaitingTasks
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
from signalbox_controller.state.journal import Journal
from signalbox_controller.state.kept_events import KeptEvents
from signalbox_controller.state.outbox import Outbox
from signalbox_controller.state.replay import Replay
from signalbox_controller.words import Order

log = logging.getLogger(__name__)

#: Seconds for the last events to reach Redis when the controller ends.
DRAIN_WITHIN = 2.0
#: Seconds that running tasks have to finish when Celery is stopped because its controller ends.
STOP_ON_EXIT = 10.0


def host_name(configuration: Configuration, settings: Settings, environ: Mapping[str, str]) -> str:
    """The name of this host, from the environment, else the file, else the machine."""
    return environ.get("SIGNALBOX_HOSTNAME") or configuration.host or settings.hostname


@asynccontextmanager
async def controller(
    settings: Settings, configuration: Configuration, environ: Mapping[str, str]
) -> AsyncIterator[None]:
    """A running controller, with or without Redis; when it ends, Celery runs on or is stopped, as the settings say.

    Raises:
        ControllerError: the data folder or the host's name is in use, or a state file damaged.
    """
    folders = prepare(settings.data)
    async with AsyncExitStack() as stack:
        stack.enter_context(lock(folders))
        link_cancelled(folders)
        redis = connect(settings.redis_url)
        stack.push_async_callback(redis.aclose)

        host = host_name(configuration, settings, environ)
        name = HostName(redis, host, folders.state)
        await name.take()
        stack.push_async_callback(name.give_back)
        kept_events = stack.enter_context(closing(KeptEvents(folders.state / "events")))
        clock = await _clock(redis)
        outbox = Outbox(redis, kept_events, clock)
        stack.callback(outbox.write)
        replay = Replay(redis, kept_events, host)
        refused = stack.enter_context(closing(Journal(folders.cancelled, CANCELLED_LIMIT)))
        allowed = stack.enter_context(closing(Journal(folders.state / "allowed", CANCELLED_LIMIT)))
        cancelled_ids = CancelledIds(redis, refused, allowed, settings.remember_cancelled)
        launches = Launches(folders.state / "instances.json")
        users = _users(configuration, launches)
        launcher = _launcher(host, folders, settings, environ, others=bool(users))
        contained = stack.enter_context(containment(settings.data, off=settings.cgroups == "off"))
        context = _context(stack, folders, configuration, launcher, launches, outbox, cancelled_ids, contained)
        fleet = _fleet(redis, context, folders, configuration)
        watches = AgentlessWatches(
            [AgentlessWatch(spec, context, outbox) for spec in configuration.watches], redis, fleet
        )
        heartbeat = Heartbeat(host, redis, outbox, fleet, contained, replay, clock)
        ports = Ports(
            host=host,
            fleet=fleet,
            agents=context.agents,
            reaper=context.reaper,
            cancelled=cancelled_ids,
            rolling_lock=partial(RollingLock, redis, host),
            outbox=outbox,
            cancel_agentless=watches.cancel,
            hosts_present=lambda: heartbeat.hosts_present,
        )
        dispatcher = await _dispatcher(stack, folders, settings, ports, redis, clock)
        commands = Consumer(redis, names.COMMANDS, names.host_group(host), host, batch=100)
        reader = Reader(commands, dispatcher)
        waiting = WaitingTasks(host, redis, outbox, fleet, Programs(launcher, context.reaper))

        await cancelled_ids.load(pending_intents(commands, settings.key))
        await stack.enter_async_context(_listening(context.agents, launcher, users.values()))
        context.pending_events.open()
        fleet.open()
        stack.callback(fleet.detach)
        configurations = Configurations(host, configuration, partial(load, settings.config), fleet, dispatcher, users)
        stack.enter_context(_on_hangup(configurations))
        local_socket = LocalSocket(
            host, dispatcher, heartbeat, partial(_unseen, fleet, watches, folders), configurations
        )
        await stack.enter_async_context(local_socket.listening(folders.operator))

        async def rotation() -> None:
            await rotate(fleet.logs() + watches.logs())

        checks = RunChecks(host, fleet, outbox)
        of_the_host = (context.memory.follow, context.redelivery.run, context.agents.check, checks.run, rotation)
        of_the_bus = (
            outbox.run,
            replay.run,
            reader.run,
            heartbeat.run,
            fleet.leases.run,
            name.run,
            cancelled_ids.run,
            waiting.run,
            watches.run,
        )
        await stack.enter_async_context(background(*of_the_host, *of_the_bus))
        log.info("The controller of %s supervises %d processes", host, len(configuration.processes))
        yield
        await _end(fleet, heartbeat, outbox, stop=settings.on_exit == "stop")


async def _clock(redis: Redis) -> BusClock:
    """The clock of the bus, read before the first event, if Redis is there."""
    clock = BusClock(redis)
    with suppress(BusUnavailable, RedisError):
        await clock.now()
    return clock


async def _unseen(fleet: Fleet, watches: AgentlessWatches, folders: Folders) -> Unseen:
    """The workers that no agent speaks for."""
    known = {process.pid for process in fleet.status() if process.pid}
    workers = await asyncio.to_thread(unseen_workers, known, folders.guest)
    return Unseen(workers=tuple(workers), nodes=tuple(watches.nodes()))


@asynccontextmanager
async def _listening(agents: Agents, launcher: Launcher, accounts: Collection[int]) -> AsyncIterator[None]:
    """The sockets for agents; `accounts` are the users other than ours that processes run as."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(agents.listening(launcher.socket))
        if launcher.user_folders:
            users = {0, os.getuid(), *accounts}
            await stack.enter_async_context(agents.listening(launcher.user_folders.socket, users))
        yield


async def _end(fleet: Fleet, heartbeat: Heartbeat, outbox: Outbox, *, stop: bool) -> None:
    """End in the order that others rely on; with `stop`, Celery ends first."""
    if stop:
        order = Order(by=f"the controller of {heartbeat.host}", reason="it was stopped itself")
        await fleet.stop(fleet.select(()), order, "graceful", STOP_ON_EXIT)
    await fleet.leases.release_all()
    await heartbeat.withdraw()
    if not await outbox.drain(DRAIN_WITHIN):
        log.warning("Redis is away: the next controller publishes the last events")


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


@contextmanager
def _on_hangup(configurations: Configurations) -> Iterator[None]:
    """Apply the configuration file on SIGHUP, as `systemctl reload` sends it."""
    loop, jobs = asyncio.get_running_loop(), Jobs("the edited configuration")
    before = signal.getsignal(signal.SIGHUP)
    loop.add_signal_handler(signal.SIGHUP, lambda: jobs.begin(configurations.on_hangup()))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, before)


def _context(
    stack: AsyncExitStack,
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


async def _dispatcher(
    stack: AsyncExitStack, folders: Folders, settings: Settings, ports: Ports, redis: Redis, clock: BusClock
) -> Dispatcher:
    """The dispatcher; a controller with a new data folder ignores all that had expired before, also cancels."""
    path = folders.state / "commands"
    admission = Admission(redis, clock, new=not path.exists())
    with suppress(BusUnavailable, RedisError):
        await admission.join()
    carried_out = stack.enter_context(closing(Journal(path, COMMANDS_LIMIT)))
    return Dispatcher(ports, Deduplication(carried_out), settings.key, admission)


def _fleet(redis: Redis, context: HostContext, folders: Folders, configuration: Configuration) -> Fleet:
    """The processes of this host, its own and those that others launched."""
    write_folder(folders.guest, folders.socket)
    own = configuration.processes
    external = ExternalWorkers(context, Notes(folders.state / "guests.json"))
    context.agents.admit_external = external.admit
    leases = Leases(redis, context.host, FencingTokens(folders.state / "leases.json"))
    desired, known_runs = DesiredStates(folders.state / "desired.json"), KnownRuns(folders.state / "running.json")
    return Fleet(own, context, desired, leases, external, known_runs)
