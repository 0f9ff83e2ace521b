"""What is done when a process has died: what it left is ended, its tasks accounted for, its notes removed."""

import signal

import msgspec

from signalbox_controller import words
from signalbox_controller.agents import spool
from signalbox_controller.agents.slots import Slots
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.linux.procfs import Proc
from signalbox_controller.processes.context import HostContext
from signalbox_controller.processes.exit_cleanup_a import clear_up
from signalbox_controller.processes.instance import Life
from signalbox_controller.processes.lost_tasks import reckon
from signalbox_controller.words import Order


class Buried(msgspec.Struct, frozen=True):
    """How it looks afterwards."""

    #: How the process ended, in words.
    end: str
    #: How many running tasks went with it.
    tasks_killed: int
    #: What could not be ended.
    survivors: list[Proc]


async def bury(life: Life, code: int | None, spec: ProcessSpec, context: HostContext, order: Order | None) -> Buried:
    """Clear up behind one launch; `order` is by what it ended, or none if nobody asked for that."""
    # As long as nobody told it to stop, a KILL is not ours.
    memory = context.memory.killed(life.main.pid) if code == -signal.SIGKILL and not life.asked else "no"
    end = words.exit_words(code, memory)
    written = spool.path_of(context.launcher.socket, life.instance)
    aftermath = await clear_up(life, context.reaper, spool.read(written))
    reckoning = reckon(spec.name, context.host, aftermath.lost, end, order)
    context.pending_events.publish(life.instance, life.agent.waiting, reckoning.events)
    if life.agent.stop_handshake.custody:
        context.redelivery.schedule(life.instance, reckoning.debt)
    context.agents.retire(life.instance)
    context.launches.forget(spec.name)
    context.stop_orders.forget(spec.name)
    spool.forget(written)
    Slots(context.launcher.socket, life.instance).forget()
    return Buried(end, reckoning.failed + life.agent.stop_handshake.stopped, aftermath.survivors)
