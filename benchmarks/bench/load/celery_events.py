"""Load of one worker through Celery's own events: `python -m bench.load.celery_events TASKS RATE NAME KINDS`.

It sends the events of tasks that are received, start and succeed, as a worker with `-E` does, to the broker in
BENCH_BROKER. KINDS is how many of the three. Prints a JSON object when all are sent. A rate of 0 is as fast as it goes.
"""

import os
import sys
from collections.abc import Callable
from uuid import uuid4

from celery import Celery

from bench.load.measured import print_measured
from bench.load.pace import portions

NODE = "load@bench"
#: As Celery's worker does (celery.worker.consumer.events).
_BUFFERED, _BUFFER = {"task"}, 24
Send = Callable[..., object]


def tell(send: Send, name: str, kinds: int) -> None:
    """Send the events of one task."""
    task_id = str(uuid4())
    arguments = {"args": "('order-4711',)", "kwargs": "{'currency': 'EUR'}"}
    origin = {"root_id": task_id, "parent_id": None, "retries": 0, "eta": None, "expires": None}
    send("task-received", uuid=task_id, name=f"bench_app.{name}", **arguments, **origin)
    if kinds > 1:
        send("task-started", uuid=task_id)
    if kinds > 2:
        send("task-succeeded", uuid=task_id, result="None", runtime=0.001, name=f"bench_app.{name}")


def main(tasks: str, rate: str, name: str, kinds: str) -> None:
    """Send, and flush."""
    with (
        Celery(broker=os.environ["BENCH_BROKER"], set_as_current=False) as app,
        app.connection_for_write() as connection,
        app.events.Dispatcher(connection, hostname=NODE, buffer_group=_BUFFERED, buffer_limit=_BUFFER) as dispatcher,
        print_measured(),
    ):
        for portion in portions(int(tasks), float(rate)):
            for _ in portion:
                tell(dispatcher.send, name, int(kinds))
            if float(rate):
                dispatcher.flush(errors=False)
        dispatcher.flush(errors=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
