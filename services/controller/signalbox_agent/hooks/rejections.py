"""Rejections: messages of tasks that the worker throws away before they become a request.

Its task is not registered, its content type is refused, its body cannot be decoded, or makes no task. Each is a task
that was received and dropped, if its message says of which task it is; others are only counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from celery.utils.saferepr import saferepr
from kombu.exceptions import ContentDisallowed

from signalbox_agent.celery_compat.worker import INVALID, UNDECODABLE, UNKNOWN
from signalbox_agent.hooks.tracker import Tracker
from signalbox_agent.safety import guarded
from signalbox_agent.tasks import events
from signalbox_agent.tasks.events import Event
from signalbox_agent.tasks.ids import key_of, whole
from signalbox_agent.tasks.runs import Run
from signalbox_agent.tasks.texts import clean, error_of, private, refused

#: The name of a task whose message does not tell it in a part that can be read.
NAMELESS = "unknown"


def reason(kind: str, name: str, content_type: str, error: Any) -> str:
    """Why a message was thrown away, for people; `kind` is the name of Celery's method. Pure."""
    if isinstance(error, ContentDisallowed):
        return f"The worker refuses content of type {content_type}"
    if kind == UNKNOWN:
        return f"The worker does not know the task {name}"
    if kind == INVALID:
        return f"The worker cannot make a task of its message: {error_of(error)}"
    if kind == UNDECODABLE:
        return f"The worker cannot decode its message: {error_of(error)}"
    return "Its message is none that Celery makes for a task"


def description(message: Any) -> dict[str, Any]:
    """The description of its task in a message: the headers (protocol 2), or the body (protocol 1)."""
    headers = message.headers
    if isinstance(headers, dict) and headers.get("task"):
        return headers
    try:
        body = message.payload
    except Exception:  # noqa: BLE001 - the reason for which it is thrown away; serializers raise what they like
        return {"id": message.properties.get("correlation_id")}  # Celery's clients set it to the id of the task
    if not isinstance(body, dict) or not body.get("task"):
        return {}
    texts = {f"{part}repr": saferepr(body[part]) for part in ("args", "kwargs") if part in body}
    return {**body, **texts}


@dataclass
class Rejections:
    """The rejections of one worker."""

    tracker: Tracker
    #: How many messages named no task.
    nameless: int = 0

    @guarded
    def reject(self, kind: str, message: Any, error: Any) -> None:
        """A message is about to be thrown away."""
        tracker, about = self.tracker, description(message)
        with tracker.loop.lock:
            if not about.get("id"):
                self.nameless += 1
                self.report()
                return
            run = self._run(message, about)
            why = private(reason(kind, run.celery_name, clean(message.content_type), error))
            self._drop(run, about, events.dropped(run, "rejected", why), {"state": "finished", "status": "failed"})

    @guarded
    def refuse(self, message: Any, _body: Any) -> bool:
        """Drop a message of a cancelled task, as its strategy knows no refusal; answer whether it was dropped."""
        tracker, about = self.tracker, description(message)
        with tracker.loop.lock:
            task_id = key_of(about.get("id"))
            if not tracker.is_held(task_id):
                return False
            run = self._run(message, about)
            run.came_late, command_id = True, tracker.runs.refused.get(task_id)
            dropped = events.dropped(run, "cancelled", refused(run, command_id), command_id)
            self._drop(run, about, dropped, {"state": "dropped", "detail": "It will not run"})
            return True

    def _drop(self, run: Run, about: dict[str, Any], event: Event, answer: dict[str, Any]) -> None:
        """Send the events of one that was received and dropped; `answer` is for late cancels."""
        link, runs = self.tracker.link, self.tracker.runs
        link.event(events.received(run, None, _text(about, "root_id"), _text(about, "parent_id")))
        link.event(event)
        if not runs.has(run.task_id):
            runs.ended[run.task_id] = answer

    def report(self) -> None:
        """Send the count, unless there is nothing to count."""
        if self.nameless:
            self.tracker.link.send({"type": "rejected", "nameless": self.nameless})

    def _run(self, message: Any, about: dict[str, Any]) -> Run:
        requests, name = self.tracker.requests, clean(about.get("task") or NAMELESS)
        short, retries = clean(about.get("shadow") or name.rpartition(".")[2]), about.get("retries")
        count = retries if isinstance(retries, int) and retries > 0 else 0
        redelivered = bool(message.delivery_info.get("redelivered"))
        delivery = requests.delivery_of(message, count, redelivered=redelivered)
        run = Run(None, key_of(about["id"]), name, short, count, delivery)
        run.full_id = whole(about["id"])
        args, kwargs = (private(about.get(part)) for part in ("argsrepr", "kwargsrepr"))
        run.describe(requests.node, requests.queue_of(message), args, kwargs)
        return run


def _text(about: dict[str, Any], key: str) -> str | None:
    value = about.get(key)
    return value if isinstance(value, str) else None
