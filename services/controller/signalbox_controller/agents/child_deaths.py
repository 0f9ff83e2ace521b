"""Death of a pool child under its task: its reason is found, and what the task had launched is ended.

The worker lives. After the death of a worker, `processes/exit_cleanup.py` cleans up.
"""

import logging
import signal
from collections.abc import Callable

import msgspec

from signalbox.messages.base import Outcome
from signalbox.messages.events import AnyTaskEvent, TaskFailed, TaskRequeued
from signalbox.service import Jobs
from signalbox_agent.cgroup import Cgroup, proc_of
from signalbox_agent.proc import Proc, ended, identify
from signalbox_controller import words
from signalbox_controller.linux.out_of_memory import OutOfMemory
from signalbox_controller.linux.reaper import Reaper
from signalbox_controller.linux.signals import kill_all
from signalbox_controller.linux.tree import Descendants, launched_by

log = logging.getLogger(__name__)

#: How a task ends whose process was killed, and not by a cancel of ours: nobody has looked after its descendants.
KILLED: frozenset[Outcome] = frozenset({"worker_lost", "time_limit", "revoked"})
#: As the agent words it (`texts.py`).
BY_KILL = f"signal {signal.SIGKILL.value} "

Publish = Callable[[AnyTaskEvent], None]


def died(event: AnyTaskEvent) -> bool:
    """Whether this says that a child is gone, and not only its task.

    One that gave its task back, or exceeded a soft limit, may live on; so does a worker whose tasks share its process.
    """
    match event:
        case TaskFailed(outcome="worker_lost"):
            return True
        case TaskFailed(outcome=outcome, pid=pid) if outcome in KILLED:
            return pid is None or _gone(pid)
        case TaskRequeued(pid=int(pid)):
            return _gone(pid)
        case _:
            return False


def _gone(pid: int) -> bool:
    child = identify(pid)
    return child is None or ended(child)


def _cgroup_of(event: AnyTaskEvent, launch: Cgroup | None) -> Cgroup | None:
    """The cgroup of the dead child; the latest, where its pid has been given again."""
    pid = getattr(event, "pid", None)
    found = {child: one for one in (launch.children() if launch else ()) if (child := proc_of(one.name)) is not None}
    dead = [child for child in found if child.pid == pid and ended(child)]
    return found[max(dead, key=lambda child: child.started)] if dead else None


class ChildDeaths:
    """The dead pool children of all workers of the host."""

    def __init__(self, reaper: Reaper, memory: OutOfMemory) -> None:
        self._reaper = reaper
        self._memory = memory
        self._jobs = Jobs("pool children that died")

    def clean_up(self, event: AnyTaskEvent, publish: Publish, *, ours: bool, launch: Cgroup | None = None) -> None:
        """Publish the end of its task once all that descended from the child is gone, too; mostly at once.

        Args:
            event: from the agent.
            publish: called once, with the event and what was found out.
            ours: whether the orphans of this worker come to us; see `launched_by`.
            launch: the cgroup of the worker's launch, if it has one.
        """
        if isinstance(event, TaskFailed):
            event = self._explained(event)
        descendants, tasks = Descendants(), frozenset({event.task_id})

        cgroup = _cgroup_of(event, launch)

        def left() -> list[Proc]:
            return cgroup.procs() if cgroup else descendants.find(launched_by(tasks, self._reaper, ours=ours))

        if left():
            self._jobs.begin(self._end(event, left, cgroup, publish))
        else:
            publish(event)

    def _explained(self, event: TaskFailed) -> TaskFailed:
        if event.outcome != "worker_lost" or event.pid is None or BY_KILL not in event.error:
            return event
        why = words.OUT_OF_MEMORY[self._memory.killed(event.pid)]
        return msgspec.structs.replace(event, error=event.error + why) if why else event

    async def _end(
        self, event: AnyTaskEvent, left: Callable[[], list[Proc]], cgroup: Cgroup | None, publish: Publish
    ) -> None:
        pids = ", ".join(str(proc.pid) for proc in left())
        survivors = await kill_all(left, self._reaper, cgroups=[cgroup] if cgroup else ())
        log.info("Task %s left processes behind when its own died: pid %s; ended", event.task_id, pids)
        if survivors and isinstance(event, TaskFailed):
            outlived = ", ".join(str(proc.pid) for proc in survivors)
            event = msgspec.structs.replace(event, error=f"{event.error}; pid {outlived} outlived it and KILL")
        publish(event)
