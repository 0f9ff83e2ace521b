"""Inspection of workers, to repair what events left out; and the revoke of a task."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from signalbox_agent.agentless.tasks import OpenTasks, Task
from signalbox_agent.tasks.ids import key_of

#: Seconds for workers to answer; Celery waits that long in any case.
PATIENCE = 1.0
#: Inspections in a row in which a worker does not name a task, until that is believed.
LOOKS = 2
#: The errors of tasks whose end nobody saw.
UNSEEN = "Its worker no longer has it, and nobody saw how it ended"
SILENT = "Nothing is heard from its worker any more, and nobody saw how it ended"

#: What the states of Celery's result backend say of a task that its worker no longer has.
_ENDS = {
    "SUCCESS": OpenTasks.succeeded,
    "FAILURE": OpenTasks.failed,
    "RETRY": OpenTasks.retried,
    "REVOKED": OpenTasks.revoked,
}


@dataclass
class Inspector:
    """Inspects all workers without an agent."""

    app: Any
    tasks: OpenTasks
    #: Whether to turn on their events.
    enable: bool
    #: Seconds after which the tasks of a silent worker are given up.
    lost_after: float

    def round(self) -> bool:
        """Inspect once; answer whether to do so again soon."""
        active = self.app.control.inspect(timeout=PATIENCE).active() or {}  # waits that long in any case
        others = sorted({*active} - self.tasks.agents)
        there: dict[str, set[str]] = {}
        if others:
            inspect = self.app.control.inspect(destination=others, timeout=PATIENCE, limit=len(others))
            reserved, scheduled = inspect.reserved() or {}, inspect.scheduled() or {}
            if self.enable:
                self.app.control.enable_events(destination=others)
            for node in others:
                if node in reserved and node in scheduled:
                    later = [one["request"] for one in scheduled[node]]
                    there[node] = self._take_in(node, active[node], [*reserved[node], *later])
        self._give_up()
        return self._miss(there)

    def _take_in(self, node: str, running: list[dict[str, Any]], waiting: list[dict[str, Any]]) -> set[str]:
        """Take in the tasks that a worker has; answer the keys of their ids."""
        self.tasks.nodes[node] = time.monotonic()
        for request in running:
            self.tasks.listed(node, request, active=True)
        for request in waiting:
            self.tasks.listed(node, request, active=False)
        return {key_of(request["id"]) for request in (*running, *waiting)}

    def _miss(self, there: dict[str, set[str]]) -> bool:
        """Find the ends of tasks that their workers do not name any more; the event of a recent end may still come."""
        wondering = False
        for task_id, task in list(self.tasks.open.items()):
            if task_id in there.get(task["node"], {task_id}):
                continue
            task["missed"] += 1
            if task["missed"] < LOOKS:
                wondering = True
            else:
                self._find_out(task_id, task)
        return wondering

    def _find_out(self, task_id: str, task: Task) -> None:
        """Celery's result backend may know how it ended."""
        meta = self._result(task["id"])
        event = {
            "uuid": task["id"],
            "timestamp": _epoch(meta.get("date_done")),
            "result": repr(meta.get("result")),
            "exception": repr(meta.get("result")),
            "traceback": meta.get("traceback"),
            "terminated": task["started"],
        }
        with self.tasks.lock:
            if task_id not in self.tasks.open:  # its event has come meanwhile
                return
            end = _ENDS.get(str(meta.get("status")))
            if end is not None:
                end(self.tasks, task["node"], event)
            elif task["started"]:
                self._end(task, UNSEEN)
            else:
                self.tasks.forget(task_id)  # it went back to its queue

    def _result(self, task_id: str) -> dict[str, Any]:
        try:
            return dict(self.app.backend.get_task_meta(task_id, cache=False))
        except Exception:  # noqa: BLE001 - there is no backend, or it does not answer
            return {}

    def _give_up(self) -> None:
        now = time.monotonic()
        silent = {node for node, latest in list(self.tasks.nodes.items()) if now - latest > self.lost_after}
        for task_id, task in list(self.tasks.open.items()):
            if task["node"] not in silent:
                continue
            if task["started"]:
                self._end(task, SILENT)
            else:
                self.tasks.forget(task_id)
        for node in silent:
            self.tasks.nodes.pop(node, None)

    def _end(self, task: Task, error: str) -> None:
        self.tasks.fail(task["node"], {"uuid": task["id"]}, "worker_lost", error, certainty="inferred")

    def revoke(self, task_ids: list[str]) -> list[str]:
        """Have every worker without an agent refuse them, and those that run them send TERM; what is known then."""
        tasks = [self.tasks.open.get(task_id) for task_id in task_ids]
        others = sorted({*self.tasks.nodes} - self.tasks.agents)
        if not others:
            return ["no worker without an agent is heard of"] * len(tasks)
        ids = [task["id"] if task else task_id for task, task_id in zip(tasks, task_ids, strict=True)]
        answers = self.app.control.revoke(
            ids, terminate=True, signal="SIGTERM", destination=others, reply=True, timeout=PATIENCE
        )
        answered = {node for answer in answers or () for node in answer}
        return [_of_revoked(task, answered) for task in tasks]


def _of_revoked(task: Task | None, answered: set[str]) -> str:
    if task is None:
        return "it has ended, or is on its way to a worker"
    done = "took the order" if task["node"] in answered else "did not answer"
    return f"its worker {task['node']} has no agent of Signalbox, was asked through Celery, and {done}"


def _epoch(moment: Any) -> float:
    """When a result was stored; now, where Celery does not tell."""
    try:
        done = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        return (done if done.tzinfo else done.replace(tzinfo=timezone.utc)).timestamp()
    except (AttributeError, ValueError):
        return time.time()
