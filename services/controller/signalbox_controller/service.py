"""The service, composition root of a controller; what supervises processes is put together in `host_processes.py`."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from functools import partial

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from signalbox.bus import names
from signalbox.bus.cancelled import LIMIT as CANCELLED_LIMIT
from signalbox.bus.clock import BusClock
from signalbox.bus.connection import connect
from signalbox.bus.consumer import Consumer
from signalbox.errors import BusUnavailable
from signalbox.service import Jobs, background
from signalbox.settings import Settings
from signalbox_controller.broker.program import Programs
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
from signalbox_controller.fleet.fleet import Fleet
from signalbox_controller.fleet.rolling_lock import RollingLock
from signalbox_controller.host.heartbeat import Heartbeat
from signalbox_controller.host.hostname import HostName
from signalbox_controller.host.waiting import WaitingTasks
from signalbox_controller.host_processes import HostProcesses, host_processes
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


class _Publishing(msgspec.Struct, frozen=True):
    """How events leave this host."""

    clock: BusClock
    outbox: Outbox
    replay: Replay


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
        publishing = await _publishing(stack, redis, host, folders)
        outbox = publishing.outbox
        cancelled_ids = _cancelled_ids(stack, redis, folders, settings)
        processes = stack.enter_context(
            host_processes(host, settings, configuration, environ, folders, redis, outbox, cancelled_ids)
        )
        heartbeat = _heartbeat(host, redis, processes, publishing)
        ports = _ports(host, redis, processes, cancelled_ids, outbox, heartbeat)
        dispatcher = await _dispatcher(stack, folders, settings, ports, redis, publishing.clock)
        commands = Consumer(redis, names.COMMANDS, names.host_group(host), host, batch=100)

        await cancelled_ids.load(pending_intents(commands, settings.key))
        await stack.enter_async_context(processes.supervised())
        configurations = Configurations(
            host, configuration, partial(load, settings.config), processes.fleet, dispatcher, processes.users
        )
        stack.enter_context(_on_hangup(configurations))
        local_socket = LocalSocket(host, dispatcher, heartbeat, processes.unseen, configurations)
        await stack.enter_async_context(local_socket.listening(folders.operator))
        loops = (
            outbox.run,
            publishing.replay.run,
            Reader(commands, dispatcher).run,
            heartbeat.run,
            name.run,
            cancelled_ids.run,
            _waiting_tasks(host, redis, processes, outbox).run,
        )
        await stack.enter_async_context(background(*processes.loops(), *loops))
        log.info("The controller of %s supervises %d processes", host, len(configuration.processes))
        yield
        await _end(processes.fleet, heartbeat, outbox, stop=settings.on_exit == "stop")


async def _publishing(stack: AsyncExitStack, redis: Redis, host: str, folders: Folders) -> _Publishing:
    """The outbox and what belongs to it; `stack` closes them. The clock is read before the first event."""
    kept_events = stack.enter_context(closing(KeptEvents(folders.state / "events")))
    clock = BusClock(redis)
    with suppress(BusUnavailable, RedisError):
        await clock.now()
    outbox = Outbox(redis, kept_events, clock)
    stack.callback(outbox.write)
    return _Publishing(clock, outbox, Replay(redis, kept_events, host))


def _cancelled_ids(stack: AsyncExitStack, redis: Redis, folders: Folders, settings: Settings) -> CancelledIds:
    """The ids that must never run; `stack` closes their files."""
    refused = stack.enter_context(closing(Journal(folders.cancelled, CANCELLED_LIMIT)))
    allowed = stack.enter_context(closing(Journal(folders.state / "allowed", CANCELLED_LIMIT)))
    return CancelledIds(redis, refused, allowed, settings.remember_cancelled)


def _ports(
    host: str,
    redis: Redis,
    processes: HostProcesses,
    cancelled_ids: CancelledIds,
    outbox: Outbox,
    heartbeat: Heartbeat,
) -> Ports:
    """What the handlers of commands work with."""
    return Ports(
        host=host,
        fleet=processes.fleet,
        agents=processes.context.agents,
        reaper=processes.context.reaper,
        cancelled=cancelled_ids,
        rolling_lock=partial(RollingLock, redis, host),
        outbox=outbox,
        cancel_agentless=processes.watches.cancel,
        hosts_present=lambda: heartbeat.hosts_present,
    )


async def _dispatcher(
    stack: AsyncExitStack, folders: Folders, settings: Settings, ports: Ports, redis: Redis, clock: BusClock
) -> Dispatcher:
    """The dispatcher; a host with a new data folder ignores all that had expired before, also cancels."""
    path = folders.state / "commands"
    admission = Admission(redis, clock, folders.state / "arrival", new=not path.exists())
    with suppress(BusUnavailable, RedisError):
        await admission.join()
    carried_out = stack.enter_context(closing(Journal(path, COMMANDS_LIMIT)))
    return Dispatcher(ports, Deduplication(carried_out), settings.key, admission)


def _heartbeat(host: str, redis: Redis, processes: HostProcesses, publishing: _Publishing) -> Heartbeat:
    """What tells the fleet that this host is there."""
    outbox, replay, clock = publishing.outbox, publishing.replay, publishing.clock
    return Heartbeat(host, redis, outbox, processes.fleet, processes.context.containment, replay, clock)


def _waiting_tasks(host: str, redis: Redis, processes: HostProcesses, outbox: Outbox) -> WaitingTasks:
    """What answers for the tasks that wait."""
    programs = Programs(processes.context.launcher, processes.context.reaper)
    return WaitingTasks(host, redis, outbox, processes.fleet, programs)


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


async def _end(fleet: Fleet, heartbeat: Heartbeat, outbox: Outbox, *, stop: bool) -> None:
    """End in the order that others rely on; with `stop`, Celery ends first."""
    if stop:
        order = Order(by=f"the controller of {heartbeat.host}", reason="it was stopped itself")
        await fleet.stop(fleet.select(()), order, "graceful", STOP_ON_EXIT)
    await fleet.leases.release_all()
    await heartbeat.withdraw()
    if not await outbox.drain(DRAIN_WITHIN):
        log.warning("Redis is away: the next controller publishes the last events")
