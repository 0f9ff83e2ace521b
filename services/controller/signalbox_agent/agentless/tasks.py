"""Open tasks of workers without an agent, from Celery's events; each change is an event of the contract.

Celery has no number for an attempt, and several hosts, which may watch the same workers, read the times of its events
differently. So all events with one count of retries are one run, whichever host sends them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from signalbox_agent.tasks.events import instant
from signalbox_agent.tasks.ids import key_of, whole
from signalbox_agent.tasks.privacy import hides_arguments
from signalbox_agent.tasks.runs import Recent
from signalbox_agent.tasks.texts import clean, private

#: Tasks that are remembered; the oldest go first.
LIMIT = 20_000
#: Seconds by which an answer of a worker may be older than the latest event of a task.
OVER = 5.0
#: Beginnings of an exception's text: when the task's process died, and when its time was over.
LOST = ("WorkerLostError", "ExceptionWithTraceback()", "Terminated")
LATE = ("TimeLimitExceeded",)

Event = dict[str, Any]
Task = dict[str, Any]


def run_of(retries: int, *, started: bool) -> str:
    """The key that orders the attempts of a task; it is before any run that an agent has seen under the same count."""
    return f"{retries:04d}.{0:013d}.events.0" if started else f"{retries:04d}"


class OpenTasks:
    """The open tasks, by the key of their id; each change of them is published."""

    def __init__(self, publish: Callable[[Event], None], tasks: dict[str, Task], agents: list[str]) -> None:
        """`tasks` are those that were open before; `agents` the node names of workers that have one."""
        self._publish = publish
        self.lock = threading.RLock()
        self.open: Recent[Task] = Recent(LIMIT)
        for task_id, task in tasks.items():
            self.open[task_id] = {**task, "id": task.get("id") or task_id, "missed": 0}
        #: When those that ended last did, on the monotonic clock: an answer that names one may be older.
        self._over: Recent[float] = Recent(LIMIT)
        self.agents = frozenset(agents)
        #: The time of the latest event or answer of each worker, on the monotonic clock.
        self.nodes: dict[str, float] = {task["node"]: time.monotonic() for task in tasks.values()}

    def take(self, event: Event) -> None:
        """Take in an event of Celery's."""
        node = event.get("hostname", "")
        if not node or node in self.agents or event["type"] == "task-sent":
            return
        with self.lock:
            self.nodes[node] = time.monotonic()
            handler = _HANDLERS.get(event["type"])
            if handler is not None:
                handler(self, node, event)

    # What can happen to a task

    def received(self, node: str, event: Event) -> None:
        """A worker has it."""
        name = clean(event.get("name") or "unknown")
        task = self._note(event["uuid"], node, name, int(event.get("retries") or 0))
        fields = {
            "args": "" if hides_arguments() else private(event.get("args")),
            "kwargs": "" if hides_arguments() else private(event.get("kwargs")),
            "eta": _with_zone(event.get("eta")),
            "root_id": event.get("root_id"),
            "parent_id": event.get("parent_id"),
        }
        self._report("TaskReceived", event, task, fields, started=False)

    def started(self, node: str, event: Event, pid: int = 0) -> None:
        """A child runs it; Celery's event does not say which."""
        task = self._known(event["uuid"], node)
        task["node"], task["started"] = node, True
        self._report("TaskStarted", event, task, {"pid": pid})

    def succeeded(self, node: str, event: Event) -> None:
        """It returned."""
        fields = {"result": private(event.get("result")), "runtime": event.get("runtime")}
        self._end("TaskSucceeded", node, event, fields)

    def failed(self, node: str, event: Event) -> None:
        """It raised, or its process died."""
        error = private(event.get("exception") or "no reason was given")
        outcome = "worker_lost" if error.startswith(LOST) else "time_limit" if error.startswith(LATE) else "error"
        self.fail(node, event, outcome, error)

    def retried(self, node: str, event: Event) -> None:
        """It raised, and is tried again."""
        fields = {"error": private(event.get("exception")), "traceback": private(event.get("traceback"))}
        self._end("TaskRetried", node, event, fields)

    def rejected(self, node: str, event: Event) -> None:
        """It gave itself up, or back."""
        if event.get("requeue"):
            self._end("TaskRequeued", node, event, {})
        else:
            self.fail(node, event, "rejected", "Rejected")

    def revoked(self, node: str, event: Event) -> None:
        """Dropped before it ran; or a signal was sent, which Celery calls by the same name and which proves nothing."""
        if event.get("terminated"):
            words = "Terminated by a revoke; Celery says so when it sends the signal, and nobody saw the process end"
            self.fail(node, event, "revoked", words, certainty="inferred")
            return
        outcome, error = ("expired", "Expired") if event.get("expired") else ("revoked", "Revoked before it started")
        self._end("TaskDropped", node, event, {"outcome": outcome, "error": error}, started=False)

    def fail(self, node: str, event: Event, outcome: str, error: str, certainty: str = "told") -> None:
        """It is over."""
        trace = private(event.get("traceback"))
        fields = {"outcome": outcome, "error": error, "traceback": trace, "certainty": certainty}
        self._end("TaskFailed", node, event, fields)

    # The open ones

    def listed(self, node: str, request: dict[str, Any], *, active: bool) -> None:
        """Take in a task that a worker has, by its own answer; publish the events that were missed."""
        with self.lock:
            task_id = key_of(request["id"])
            task = self.open.get(task_id)
            if task is None and time.monotonic() - self._over.get(task_id, -OVER) < OVER:
                return
            retries = int(request.get("retries") or (task or {}).get("retries") or 0)
            if task is None:
                event = {**request, "uuid": request["id"], "timestamp": time.time(), "retries": retries}
                self.received(node, {**event, "args": repr(request.get("args")), "kwargs": repr(request.get("kwargs"))})
                task = self.open[task_id]
            task["missed"] = 0
            if active and not task["started"]:
                began = request.get("time_start") or time.time()
                self.started(node, {"uuid": request["id"], "timestamp": began}, request.get("worker_pid") or 0)

    def forget(self, task_id: str) -> None:
        """Forget a task: it waits elsewhere, or nobody knows where."""
        with self.lock:
            self.open.pop(task_id, None)

    def _note(self, uuid: str, node: str, name: str, retries: int) -> Task:
        task = {"id": uuid, "node": node, "name": name, "retries": retries, "started": False, "missed": 0}
        self._over.pop(key_of(uuid), None)
        self.open[key_of(uuid)] = task
        return task

    def _known(self, uuid: str, node: str) -> Task:
        return self.open.get(key_of(uuid)) or self._note(uuid, node, "unknown", 0)

    def _end(self, kind: str, node: str, event: Event, fields: dict[str, Any], *, started: bool = True) -> None:
        with self.lock:
            task, task_id = self._known(event["uuid"], node), key_of(event["uuid"])
            del self.open[task_id]
            self._over[task_id] = time.monotonic()
        self._report(kind, event, task, fields, started=started)

    def _report(self, kind: str, event: Event, task: Task, fields: dict[str, Any], *, started: bool = True) -> None:
        self._publish(
            {
                "type": kind,
                "at": instant(float(event.get("timestamp") or time.time())),
                "task_id": key_of(event["uuid"]),
                "full_id": whole(event["uuid"]),
                "run": run_of(task["retries"], started=started),
                "celery_name": task["name"],
                "name": task["name"].rpartition(".")[2],
                "worker": task["node"],
                "retries": task["retries"],
                "certainty": "told",
                **fields,
            }
        )


_HANDLERS = {
    "task-received": OpenTasks.received,
    "task-started": OpenTasks.started,
    "task-succeeded": OpenTasks.succeeded,
    "task-failed": OpenTasks.failed,
    "task-retried": OpenTasks.retried,
    "task-rejected": OpenTasks.rejected,
    "task-revoked": OpenTasks.revoked,
}


def _with_zone(moment: Any) -> str | None:
    """A time with its zone; None for any other, as its zone is unknown."""
    text = str(moment or "")
    return text if text.endswith(("Z", "+00:00")) else None
