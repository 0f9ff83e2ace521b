"""What Celery's events say, as events of the contract; and which tasks are open, so that a gap can be noticed.

Celery has no number for an attempt, and its events have no time that all who hear them agree on. So all that is told of
one count of retries is one run, whoever tells it: several hosts may watch the same workers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from signalbox_agent.tasks.events import instant
from signalbox_agent.tasks.texts import clean

#: Tasks that are remembered; the oldest go first.
LIMIT = 20_000
#: Seconds for which an answer of a worker may be older than what was heard of a task.
OVER = 5.0
#: What an exception's text begins with when the task's process died, and when its time was over.
LOST = ("WorkerLostError", "ExceptionWithTraceback()", "Terminated")
LATE = ("TimeLimitExceeded",)

Event = dict[str, Any]
Task = dict[str, Any]


def run_of(retries: int, *, started: bool) -> str:
    """What orders the attempts of a task; before any run that an agent has seen under the same count."""
    return f"{retries:04d}.{0:013d}.events.0" if started else f"{retries:04d}"


class Watched:
    """The open tasks of workers without an agent, by id; each change of them is told."""

    def __init__(self, tell: Callable[[Event], None], tasks: dict[str, Task], agents: list[str]) -> None:
        """`tasks` are those that were open before; `agents` the node names of workers that have one."""
        self._tell = tell
        self.lock = threading.RLock()
        self.open = {task_id: {**task, "missed": 0} for task_id, task in tasks.items()}
        #: When those that ended last did, on the monotonic clock: an answer that names one may be older.
        self._over: dict[str, float] = {}
        self.agents = frozenset(agents)
        #: When each worker was last heard, on the monotonic clock.
        self.nodes: dict[str, float] = {task["node"]: time.monotonic() for task in tasks.values()}

    def heard(self, said: dict[str, Any]) -> None:
        """An event of Celery's."""
        node = said.get("hostname", "")
        if not node or node in self.agents or said["type"] == "task-sent":
            return
        with self.lock:
            self.nodes[node] = time.monotonic()
            handler = _HANDLERS.get(said["type"])
            if handler is not None:
                handler(self, node, said)

    # What can happen to a task

    def received(self, node: str, said: dict[str, Any]) -> None:
        """A worker has it."""
        name = clean(said.get("name") or "unknown")
        task = self._note(said["uuid"], node, name, int(said.get("retries") or 0))
        self._tell_of(
            "TaskReceived",
            said["uuid"],
            task,
            _at(said),
            {
                "args": clean(said.get("args") or ""),
                "kwargs": clean(said.get("kwargs") or ""),
                "eta": _with_zone(said.get("eta")),
                "root_id": said.get("root_id"),
                "parent_id": said.get("parent_id"),
            },
            started=False,
        )

    def started(self, node: str, said: dict[str, Any], pid: int = 0) -> None:
        """A child runs it; Celery's event does not say which."""
        task = self._known(said["uuid"], node)
        task["node"], task["started"] = node, True
        self._tell_of("TaskStarted", said["uuid"], task, _at(said), {"pid": pid})

    def succeeded(self, node: str, said: dict[str, Any]) -> None:
        """It returned."""
        task = self._close(said["uuid"], node)
        told = {"result": clean(said.get("result") or ""), "runtime": said.get("runtime")}
        self._tell_of("TaskSucceeded", said["uuid"], task, _at(said), told)

    def failed(self, node: str, said: dict[str, Any]) -> None:
        """It raised, or its process died."""
        error = clean(said.get("exception") or "no reason was given")
        outcome = "worker_lost" if error.startswith(LOST) else "time_limit" if error.startswith(LATE) else "error"
        trace = clean(said.get("traceback") or "")
        self.fail(said["uuid"], node, outcome, error, at=_at(said), traceback=trace)

    def retried(self, node: str, said: dict[str, Any]) -> None:
        """It raised, and is tried again."""
        task = self._close(said["uuid"], node)
        told = {"error": clean(said.get("exception") or ""), "traceback": clean(said.get("traceback") or "")}
        self._tell_of("TaskRetried", said["uuid"], task, _at(said), told)

    def rejected(self, node: str, said: dict[str, Any]) -> None:
        """It gave itself up, or back."""
        if said.get("requeue"):
            self._tell_of("TaskRequeued", said["uuid"], self._close(said["uuid"], node), _at(said), {})
        else:
            self.fail(said["uuid"], node, "rejected", "Rejected", at=_at(said))

    def revoked(self, node: str, said: dict[str, Any]) -> None:
        """Dropped before it ran; or a signal was sent, which Celery calls by the same name and which proves nothing."""
        if said.get("terminated"):
            words = "Terminated by a revoke; Celery says so when it sends the signal, and nobody saw the process end"
            self.fail(said["uuid"], node, "revoked", words, at=_at(said), certainty="inferred")
            return
        task = self._close(said["uuid"], node)
        outcome, error = ("expired", "Expired") if said.get("expired") else ("revoked", "Revoked before it started")
        self._tell_of("TaskDropped", said["uuid"], task, _at(said), {"outcome": outcome, "error": error}, started=False)

    def fail(
        self,
        task_id: str,
        node: str,
        outcome: str,
        error: str,
        *,
        at: float,
        traceback: str = "",
        certainty: str = "told",
    ) -> None:
        """It is over."""
        task = self._close(task_id, node)
        told = {"outcome": outcome, "error": error, "traceback": traceback, "certainty": certainty}
        self._tell_of("TaskFailed", task_id, task, at, told)

    # The open ones

    def listed(self, node: str, request: dict[str, Any], *, active: bool) -> None:
        """A worker names it, asked what it has; tells what we have not heard."""
        with self.lock:
            task_id = request["id"]
            task = self.open.get(task_id)
            if task is None and time.monotonic() - self._over.get(task_id, -OVER) < OVER:
                return
            retries = int(request.get("retries") or (task or {}).get("retries") or 0)
            if task is None:
                said = {**request, "uuid": task_id, "timestamp": time.time(), "retries": retries}
                self.received(node, {**said, "args": repr(request.get("args")), "kwargs": repr(request.get("kwargs"))})
                task = self.open[task_id]
            task["missed"] = 0
            if active and not task["started"]:
                began = request.get("time_start") or time.time()
                self.started(node, {"uuid": task_id, "timestamp": began}, request.get("worker_pid") or 0)

    def forget(self, task_id: str) -> None:
        """It waits elsewhere, or nobody knows where."""
        with self.lock:
            self.open.pop(task_id, None)

    def _note(self, task_id: str, node: str, name: str, retries: int) -> Task:
        task = {"node": node, "name": name, "retries": retries, "started": False, "missed": 0}
        self.open.pop(task_id, None)
        self._over.pop(task_id, None)
        self.open[task_id] = task
        while len(self.open) > LIMIT:
            del self.open[next(iter(self.open))]
        return task

    def _known(self, task_id: str, node: str) -> Task:
        return self.open.get(task_id) or self._note(task_id, node, "unknown", 0)

    def _close(self, task_id: str, node: str) -> Task:
        with self.lock:
            task = self._known(task_id, node)
            del self.open[task_id]
            self._over[task_id] = time.monotonic()
            while len(self._over) > LIMIT:
                del self._over[next(iter(self._over))]
            return task

    def _tell_of(
        self, kind: str, task_id: str, task: Task, at: float, told: dict[str, Any], *, started: bool = True
    ) -> None:
        self._tell(
            {
                "type": kind,
                "at": instant(at),
                "task_id": task_id,
                "run": run_of(task["retries"], started=started),
                "celery_name": task["name"],
                "name": task["name"].rpartition(".")[2],
                "worker": task["node"],
                "retries": task["retries"],
                "certainty": "told",
                **told,
            }
        )


_HANDLERS = {
    "task-received": Watched.received,
    "task-started": Watched.started,
    "task-succeeded": Watched.succeeded,
    "task-failed": Watched.failed,
    "task-retried": Watched.retried,
    "task-rejected": Watched.rejected,
    "task-revoked": Watched.revoked,
}


def _at(said: dict[str, Any]) -> float:
    return float(said.get("timestamp") or time.time())


def _with_zone(moment: Any) -> str | None:
    """A time that says its zone; of others nobody knows what they mean."""
    text = str(moment or "")
    return text if text.endswith(("Z", "+00:00")) else None
