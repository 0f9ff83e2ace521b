"""A strategy that runs two tasks in one job of the pool, as batches do: no callback of Celery tells of it."""

from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import uuid4

from celery import Task, signals
from celery.utils.imports import symbol_by_name
from celery.worker.request import create_request_cls

SIZE = 2


class Ticket(NamedTuple):
    """What a child is told of a task."""

    id: str
    arguments: str


class Together(Task):
    """Collects two requests, and runs the task once for both."""

    abstract = True
    typing = False

    def Strategy(self, task: Any, app: Any, consumer: Any) -> Callable[..., None]:  # noqa: N802 - Celery's name
        """Called by Celery for the handler of the messages."""
        made = create_request_cls(
            symbol_by_name(task.Request), task, consumer.pool, consumer.hostname, consumer.event_dispatcher, app=app
        )
        waiting: list[Any] = []

        def handler(message: Any, _body: Any, ack: Any, reject: Any, _callbacks: Any, **_: Any) -> None:
            request = made(
                message,
                on_ack=ack,
                on_reject=reject,
                app=app,
                hostname=consumer.hostname,
                eventer=consumer.event_dispatcher,
                task=task,
                connection_errors=consumer.connection_errors,
                body=message.body,
                headers=message.headers,
                decoded=False,
                utc=True,
            )
            waiting.append(request)
            signals.task_received.send(sender=consumer, request=request)
            if len(waiting) == SIZE:
                _run(consumer.pool, task, [waiting.pop() for _ in range(SIZE)])

        return handler


def _run(pool: Any, task: Any, requests: list[Any]) -> None:
    tickets = [Ticket(request.id, request.argsrepr) for request in requests]

    def on_accepted(_pid: int, _time: float) -> None:
        for request in requests:
            request.acknowledge()

    pool.apply_async(_in_child, (task, tickets), accept_callback=on_accepted)


def _in_child(task: Any, tickets: list[Ticket]) -> None:
    about = {"sender": task, "task_id": str(uuid4()), "task": task, "args": (tickets,), "kwargs": {}}
    signals.task_prerun.send(**about)
    state = "SUCCESS"
    try:
        task.run(tickets)
    except Exception:  # noqa: BLE001 - it is logged, and no more
        state = "FAILURE"
    finally:
        signals.task_postrun.send(**about, retval=None, state=state)
