"""Load of one worker through the agent: `python -m bench.load.agent SOCKET TASKS RATE NAME`.

It joins a controller as a worker that somebody else has launched, with the agent's own link, runs and events, and tells
of tasks that are received, start and succeed, as the agent tells of quick ones: a line for each. Prints a JSON object
when the controller has acknowledged all of them. A rate of 0 is as fast as it goes.
"""

import os
import sys
import time
from uuid import uuid4

from bench.load.measured import print_measured
from bench.load.pace import portions
from signalbox_agent import PROTOCOL
from signalbox_agent.guest import instance_of
from signalbox_agent.link.link import Link, Message
from signalbox_agent.link.loop import Loop
from signalbox_agent.tasks import events, whole_runs
from signalbox_agent.tasks.runs import Run, delivery_key, run_key

#: Events that wait for an acknowledgement before the next ones are made: below what the agent keeps.
_AHEAD = 20_000
#: Seconds for the controller to greet us, and to acknowledge what it was sent.
_PATIENCE = 120.0
NODE = "load@bench"
QUEUE = "load"


class Worker:
    """A worker as the controller sees it."""

    def __init__(self, path: str) -> None:
        self.instance = instance_of(os.getpid())
        self.loop = Loop()
        self.link = Link(path, self.loop, self._hello, lambda _message: None)

    def join(self) -> None:
        """Connect, and wait for the welcome.

        Raises:
            SystemExit: there was none.
        """
        self.loop.start_thread()
        with self.loop.lock:
            self.link.connect()
        if not self.link.welcomed.wait(_PATIENCE) or not self.link.takes_runs:
            sys.exit("the controller has not welcomed the load")
        with self.loop.lock:
            self.link.send({"type": "ready", "children": {"up": 1, "wanted": 1}})

    def run(self, name: str) -> None:
        """Tell of one task."""
        now, pid = time.time(), os.getpid()
        run = Run(None, str(uuid4()), f"bench_app.{name}", name, 0, delivery_key(0, now, self.instance, "w1"))
        run.describe(NODE, QUEUE, "('order-4711',)", "{'currency': 'EUR'}")
        receipt = whole_runs.receipt(run, now, None, None, None)
        run.started_at, run.pid, run.key = now, pid, run_key(0, now, self.instance, pid)
        self.link.event(events.succeeded(run, "None", 0.001, at=now + 0.001), whole_runs.fields(run, receipt))

    def wait(self, left: int) -> None:
        """Wait until no more than so many are not acknowledged.

        Raises:
            SystemExit: the controller has stopped to acknowledge.
        """
        end = time.monotonic() + _PATIENCE
        while len(self.link.backlog) > left:
            if time.monotonic() > end:
                sys.exit("the controller does not acknowledge the load")
            time.sleep(0.002)

    def _hello(self) -> Message:
        return {
            "type": "hello",
            "protocol": PROTOCOL,
            "instance": self.instance,
            "pid": os.getpid(),
            "clock": time.time() - time.monotonic(),
            "kind": "worker",
            "node": NODE,
            "pool": "prefork",
            "ready": True,
            "children": {"up": 1, "wanted": 1},
            "guest": True,
            "queues": [QUEUE],
        }


def main(path: str, tasks: str, rate: str, name: str) -> None:
    """Join, tell, wait."""
    worker = Worker(path)
    worker.join()
    with print_measured():
        for portion in portions(int(tasks), float(rate)):
            worker.wait(_AHEAD)
            with worker.loop.lock:
                for _ in portion:
                    worker.run(name)
        worker.wait(0)
    with worker.loop.lock:
        worker.link.send({"type": "stopping"})
        worker.link.finish(1.0)


if __name__ == "__main__":
    main(*sys.argv[1:])
