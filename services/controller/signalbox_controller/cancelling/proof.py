"""Proof that a task is dead: the controller's own look at the process of the task, and at all that it had launched."""

import asyncio

import msgspec

from signalbox_agent.proc import Proc, ended
from signalbox_controller.agents.cancel_request import CancelRequest
from signalbox_controller.linux.reaper import Reaper
from signalbox_controller.linux.signals import UNREAPED, gone, kill_all, terminate_all
from signalbox_controller.linux.tree import Descendants, launched_by


class Proof(msgspec.Struct, frozen=True):
    """The processes that were found."""

    #: Processes that we ended and the agent had not.
    ended: list[Proc]
    #: Processes that outlived KILL.
    survivors: list[Proc]


async def prove(request: CancelRequest, reaper: Reaper, kill_at: float, deadline: float, *, ours: bool) -> Proof:
    """Wait until the task's process is gone, and end what is left of its descendants.

    Args:
        request: what was asked and what the agent answered.
        reaper: of our own children, which orphans become.
        kill_at: until then, on the loop's clock, what is left has time to clean up.
        deadline: when to give up, on the loop's clock.
        ours: whether the orphans of its worker come to us.
    """
    reaper.reap()
    descendants, tasks = Descendants(), frozenset({request.line.task_id})
    also_ended: dict[Proc, None] = {}

    def left() -> list[Proc]:
        found = descendants.look([*request.strays(), *launched_by(tasks, reaper, ours=ours)])
        also_ended.update(dict.fromkeys(found))
        return found

    if left():
        await terminate_all(left, reaper, kill_at)
    survivors = await kill_all(left, reaper, max(0.1, deadline - asyncio.get_running_loop().time()))
    child = request.child()
    if child is not None and not ended(child):
        survivors += await gone([child], deadline, reaper)
    unreaped = [*also_ended, *request.strays(), *([child] if child else [])]
    await gone(unreaped, asyncio.get_running_loop().time() + UNREAPED, reaper)
    return Proof([proc for proc in also_ended if proc not in survivors], survivors)
