"""The exit cleanup of a process: what it left running is ended, its tasks are accounted for, its files are removed."""

import signal
from collections.abc import Iterable

import msgspec

from signalbox_agent.proc import Proc
from signalbox_controller import words
from signalbox_controller.agents import spool
from signalbox_controller.agents.protocol import AgentLine
from signalbox_controller.agents.running import HeldRuns
from signalbox_controller.agents.slots import Slots
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.linux.reaper import Reaper
from signalbox_controller.linux.signals import kill_all
from signalbox_controller.processes.context import HostContext
from signalbox_controller.processes.instance import Instance
from signalbox_controller.processes.lost_tasks import lost_tasks
from signalbox_controller.words import Order

#: Seconds for what the agent wrote last to be read; longer only when something else holds its socket open.
LAST_LINES = 0.5


class Cleanup(msgspec.Struct, frozen=True):
    """The result of an exit cleanup."""

    #: How the process ended, in words.
    end: str
    #: How many running tasks went with it.
    tasks_killed: int
    #: What could not be ended.
    survivors: list[Proc]


async def clean_up_after(
    instance: Instance, code: int | None, spec: ProcessSpec, context: HostContext, order: Order | None
) -> Cleanup:
    """Clean up after one launch of a process; `order` is by what it ended, or none if nobody asked for that."""
    # Unless a stop was asked for, a KILL is not ours.
    memory = context.memory.killed(instance.main.pid) if code == -signal.SIGKILL and not instance.asked else "no"
    end = words.exit_words(code, memory)
    socket = context.launcher.socket_of(spec)
    written, slots = spool.path_of(socket, instance.id), Slots(socket, instance.id)
    held, survivors = await end_leftovers(instance, context.reaper, spool.read(written), slots)
    lost = lost_tasks(spec.name, context.host, held, end, order)
    context.pending_events.publish(instance.id, instance.agent.events.acknowledgements.waiting, lost.events)
    if instance.agent.stop_handshake.ownership:  # or its broker misses them by itself
        restore = msgspec.structs.replace(lost.restore, spec=spec, queues=instance.agent.queues)
        context.redelivery.schedule(instance.id, restore)
    context.agents.retire(instance.id)
    if not survivors:  # or the next controller has to know of them
        context.launches.forget(spec.name)
    context.stop_orders.forget(spec.name)
    spool.forget(written)
    slots.forget()
    if instance.tree.cgroup is not None:
        instance.tree.cgroup.remove()
    return Cleanup(end, lost.failed + instance.agent.stop_handshake.stopped, survivors)


async def end_leftovers(
    instance: Instance, reaper: Reaper, spooled: Iterable[AgentLine], slots: Slots
) -> tuple[HeldRuns, list[Proc]]:
    """End the rest of its tree, read its agent's last lines, then end what its tasks had launched elsewhere.

    A launch that is over leaves nothing in its cgroup, also of what finished tasks have left running there.

    Answers the runs that it held, and what could not be ended. Its children are dead when their slots are read.

    The `spooled` lines are read where the agent has not reported what ran: it died before it connected. Where there are
    none, it died together with the controller that it was connected to, and the slots tell what its children began.
    """
    survivors = await kill_all(instance.tree.rest, reaper, cgroups=instance.tree.cgroups)
    await instance.agent.quiet(LAST_LINES)
    if not instance.agent.complete:
        instance.agent.recall(spooled)
    if not instance.agent.complete:
        instance.agent.recall_starts(slots, instance.id)
    held = instance.agent.take_held_runs(slots, instance.id)
    ran = [*held.lost, *(run for run, state in held.unseen if not state.stored)]
    tasks = [*(run.task_id for run in ran), *instance.agent.stop_handshake.ended]
    strays = await kill_all(lambda: [proc for proc in instance.tree.rest(tasks) if proc not in survivors], reaper)
    return held, [*survivors, *strays]
