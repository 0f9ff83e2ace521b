"""What all supervised processes of a host share."""

from collections.abc import Callable

import msgspec

from signalbox.messages.events import Event
from signalbox_controller.agents.server import Agents
from signalbox_controller.instances import Instances
from signalbox_controller.logfile import Limits
from signalbox_controller.oom import OutOfMemory
from signalbox_controller.orders import Orders
from signalbox_controller.pacing import Pacing
from signalbox_controller.reaper import Reaper
from signalbox_controller.returns import Returns
from signalbox_controller.spawn import Launcher
from signalbox_controller.wills import Wills


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
