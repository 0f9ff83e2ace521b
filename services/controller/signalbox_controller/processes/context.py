"""Context of the processes of a host: the parts of the controller that all of them share."""

from collections.abc import Callable

import msgspec

from signalbox.messages.events import Event
from signalbox_controller.agents.server import Agents
from signalbox_controller.broker.pending_events import PendingEvents
from signalbox_controller.broker.redelivery import Redelivery
from signalbox_controller.launch.celery_version import CeleryVersions
from signalbox_controller.launch.launcher import Launcher
from signalbox_controller.launch.launches import Launches
from signalbox_controller.linux.cgroups import SWITCHED_OFF, Containment
from signalbox_controller.linux.out_of_memory import OutOfMemory
from signalbox_controller.linux.reaper import Reaper
from signalbox_controller.logs.logfile import Limits
from signalbox_controller.processes.backoff import Backoff
from signalbox_controller.processes.stop_orders import StopOrders


class HostContext(msgspec.Struct, frozen=True, kw_only=True):
    """The host, as its supervisors see it."""

    host: str
    launcher: Launcher
    reaper: Reaper
    agents: Agents
    launches: Launches
    memory: OutOfMemory
    stop_orders: StopOrders
    redelivery: Redelivery
    pending_events: PendingEvents
    #: Publishes an event.
    publish: Callable[[Event], None]
    backoff: Backoff = Backoff()
    logs: Limits = Limits()
    #: Makes the cgroups of launches, where there can be any.
    containment: Containment = Containment("search", SWITCHED_OFF)
    versions: CeleryVersions = msgspec.field(default_factory=CeleryVersions)
