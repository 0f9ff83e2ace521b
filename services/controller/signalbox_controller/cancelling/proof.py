"""Proof of a cancel: the evidence that a task is dead, and the verdict that follows from it.

The evidence is the report of the worker's agent, and then what the controller itself sees. Where the process of the
task had a cgroup, the kernel says that nothing is left in it. Elsewhere the controller looks for what it has started.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from signalbox.messages.base import Evidence
from signalbox.messages.verdicts import MEANING, Verdict, worst
from signalbox_agent.proc import Proc, ended
from signalbox_controller.agents.cancel_request import CancelRequest
from signalbox_controller.linux.reaper import Reaper
from signalbox_controller.linux.signals import UNREAPED, gone, kill_all, terminate_all
from signalbox_controller.linux.tree import Descendants, launched_by


class Proof(msgspec.Struct, frozen=True):
    """The processes that the controller's search found."""

    #: Processes that we ended and the agent had not.
    ended: list[Proc]
    #: Processes that outlived KILL.
    survivors: list[Proc]
    evidence: Evidence = "search"
    #: Whether the kernel says that something is left in a cgroup of the task.
    populated: bool = False

    @property
    def left(self) -> int:
        """How many processes outlived KILL; 1 where the kernel says that there are some, and they cannot be listed."""
        return max(len(self.survivors), int(self.populated))


def verdict_of(reported: Verdict | None, proof: Proof | None, *, ran: bool, cancels_one: bool) -> Verdict:
    """The verdict on a cancel in one worker: `cancelled` only if the search, too, found that nothing is left. Pure.

    Args:
        reported: the last report of the agent; None if none came in time.
        proof: the result of the controller's search; None before it.
        ran: whether the worker was known to run the task when it was asked.
        cancels_one: whether its pool can end a single task.
    """
    if reported is None:
        return "unsupported" if ran and not cancels_one else "unproven"
    if reported != "cancelled":
        return reported
    if proof is None:
        return "unproven"
    return "alive" if proof.left else "cancelled"


def verdict_of_host(verdicts: Sequence[Verdict], holders: Sequence[Verdict] = ()) -> Verdict:
    """The worst final verdict of the host's workers; one that is not final counts only where none is. Pure.

    It also counts in `holders`, the verdicts of those that were known to have the task: each may run it.
    """
    final = [verdict for verdict in verdicts if MEANING[verdict].is_final]
    return worst([*(final or verdicts), *holders])


async def prove(request: CancelRequest, reaper: Reaper, kill_at: float, deadline: float, *, ours: bool) -> Proof:
    """Wait until the task's process is gone, and end what is left of what it has started.

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
        found = [proc for cgroup in request.cgroups for proc in cgroup.procs()]
        if not request.contained:
            found += descendants.find([*request.strays(), *launched_by(tasks, reaper, ours=ours)])
        also_ended.update(dict.fromkeys(found))
        return found

    if left():
        await terminate_all(left, reaper, kill_at)
    seconds = max(0.1, deadline - asyncio.get_running_loop().time())
    survivors = await kill_all(left, reaper, seconds, request.cgroups)
    children = request.children()
    survivors += await gone([child for child in children if not ended(child)], deadline, reaper)
    unreaped = [*also_ended, *request.strays(), *children]
    await gone(unreaped, asyncio.get_running_loop().time() + UNREAPED, reaper)
    dead = [proc for proc in also_ended if proc not in survivors]
    evidence: Evidence = "cgroup" if request.contained else "search"
    return Proof(dead, survivors, evidence, any(cgroup.populated for cgroup in request.cgroups))
