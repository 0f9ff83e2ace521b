"""What is done when a process has died: what it left is ended, its tasks accounted for, its notes removed."""

import signal

import msgspec

from signalbox_controller import wording
from signalbox_controller.aftermath import clear_up
from signalbox_controller.agents import diary
from signalbox_controller.agents.slots import Slots
from signalbox_controller.life import Life
from signalbox_controller.procfs import Proc
from signalbox_controller.reckoning import reckon
from signalbox_controller.site import Site
from signalbox_controller.specs import ProcessSpec
from signalbox_controller.wording import Order


class Buried(msgspec.Struct, frozen=True):
    """How it looks afterwards."""

    #: How the process ended, in words.
    end: str
    #: How many running tasks went with it.
    tasks_killed: int
    #: What could not be ended.
    survivors: list[Proc]


async def bury(life: Life, code: int | None, spec: ProcessSpec, site: Site, order: Order | None) -> Buried:
    """Clear up behind one launch; `order` is by what it ended, or none if nobody asked for that."""
    # As long as nobody told it to stop, a KILL is not ours.
    memory = site.memory.killed(life.main.pid) if code == -signal.SIGKILL and not life.asked else "no"
    end = wording.exit_words(code, memory)
    written = diary.path_of(site.launcher.socket, life.instance)
    aftermath = await clear_up(life, site.reaper, diary.read(written))
    reckoning = reckon(spec.name, site.host, aftermath.lost, end, order)
    site.wills.leave(life.instance, life.agent.waiting, reckoning.events)
    if life.agent.parting.custody:
        site.returns.owe(life.instance, reckoning.debt)
    site.agents.retire(life.instance)
    site.instances.forget(spec.name)
    site.orders.forget(spec.name)
    diary.forget(written)
    Slots(site.launcher.socket, life.instance).forget()
    return Buried(end, reckoning.failed + life.agent.parting.stopped, aftermath.survivors)
