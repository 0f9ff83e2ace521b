"""What all supervised processes of a host share."""

from collections.abc import Callable

import msgspec

from signalbox.messages.events import Event
from signalbox_controller.agents.server import Agents
from signalbox_controller.broker.pending_events import Wills
from signalbox_controller.broker.redelivery import Returns
from signalbox_controller.launch.launcher import Launcher
from signalbox_controller.launch.launches import Instances
from signalbox_controller.linux.out_of_memory import OutOfMemory
from signalbox_controller.linux.reaper import Reaper
from signalbox_controller.logs.logfile import Limits
from signalbox_controller.processes.restart_policy import Pacing
from signalbox_controller.processes.stop_orders import Orders


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """The host, as its supervisors see it."""

    host: str
    launcher: Launcher
    reaper: Reaper
    agents: Agents
    instances: Instances
    memory: OutOfMemory
    orders: Orders
    returns: Returns
    wills: Wills
    #: Where events go.
    tell: Callable[[Event], None]
    pacing: Pacing = Pacing()
    logs: Limits = Limits()
