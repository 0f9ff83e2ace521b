"""Real Celery processes with the agent inside, launched as a controller launches them."""

import contextlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import redis
from celery import Celery

from support.agent.peer import DEADLINE, Peer
from support.eventually import eventually_blocking

AGENT = Path(__file__).parents[3] / "services/controller"
#: Where the tasks are.
APP = Path(__file__).parents[1] / "apps"
#: The packages of other people's monitoring, which no process but the workers of some tests can import.
MONITORING = Path(sys.prefix) / "monitoring"
#: What a controller gives to every worker.
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")


class Worker:
    """A worker (or beat), the peer that its agent talks to, and a client that knows nothing but names."""

    def __init__(self, process: psutil.Popen, peer: Peer, url: str, store: str, log: Path) -> None:
        self.process = process
        self.peer = peer
        self.url = url
        self._log = log
        self.client = Celery(broker=url, set_as_current=False)
        #: Where results are.
        self.store = redis.Redis.from_url(store)

    def close(self) -> None:
        """Let go of the connections."""
        self.client.close()
        self.store.close()

    def send(self, task: str, *arguments: Any, **options: Any) -> str:
        """Send one of the tasks in `tasks.py`, and answer its id."""
        return str(self.client.send_task(f"tasks.{task}", arguments, **options).id)

    def running(self, task: str, *arguments: Any, **options: Any) -> tuple[str, int]:
        """Send a task and wait until it runs; its id and the pid of the child."""
        task_id = self.send(task, *arguments, **options)
        return task_id, self.peer.event("TaskStarted", task_id).pid

    def there(self, task: str, *arguments: Any, **options: Any) -> tuple[str, int]:
        """The same, and wait until the task says that it is where it is to be hit."""
        task_id, pid = self.running(task, *arguments, **options)
        self.is_there(task_id)
        return task_id, pid

    def is_there(self, task_id: str) -> None:
        """Wait until the task says so."""
        self.stored(f"there:{task_id}")

    def result(self, task_id: str) -> Any:
        """What a task returned.

        Raises:
            RuntimeError: it did not, and this is why.
        """
        stored = json.loads(self.stored(f"celery-task-meta-{task_id}"))
        if stored["status"] != "SUCCESS":
            raise RuntimeError(f"{stored['status']}: {stored['result']}")
        return stored["result"]

    def stored(self, key: str) -> bytes:
        """The value of a key in `store`, as soon as somebody has written it."""
        value = eventually_blocking(lambda: self.store.get(key), f"somebody writes {key}")
        assert isinstance(value, bytes)
        return value

    def log(self) -> str:
        """All that it logged."""
        return self._log.read_text()


@contextmanager
def a_worker(
    peer: Peer,
    url: str,
    log: Path,
    *options: str,
    command: str = "worker",
    store: str = "",
    python: str = sys.executable,
    packages: Path | None = None,
) -> Iterator[Worker]:
    """Launch one and wait until it is ready; nothing of it is left afterwards.

    `url` is its broker's; `store` the Redis for results, where the broker cannot keep them. `packages` is a folder of
    packages that hide those of the interpreter.
    """
    store = store or url
    environment = {
        **os.environ,
        "TASKS_URL": url,
        "TASKS_STORE": store,
        "PYTHONPATH": os.pathsep.join(map(str, filter(None, (AGENT, packages)))),
        "SIGNALBOX_AGENT_SOCKET": str(peer.path),
        "SIGNALBOX_INSTANCE": uuid.uuid4().hex,
    }
    quiet = QUIET if command == "worker" else ()
    line = [python, "-m", "signalbox_agent", "-A", "tasks", command, *quiet, "-l", "info", *options]
    with log.open("w") as output:
        process = psutil.Popen(line, cwd=APP, env=environment, stdout=output, stderr=subprocess.STDOUT)
    family: list[psutil.Process] = []
    try:
        if peer.reading:
            peer.line("ready")
        with contextlib.closing(Worker(process, peer, url, store, log)) as worker:
            yield worker
        family = process.children(recursive=True) if process.is_running() else []
    finally:
        if process.poll() is None:
            process.kill()  # a warm shutdown takes 2 s, and has tests of its own
        process.wait(DEADLINE)
        for one in family:
            if one.is_running():
                one.kill()


def expect_nothing_left(worker: Worker) -> None:
    """Nothing of the agent has gone wrong, and it knows of no task any more; the last of a file's tests."""
    worker.peer.close()
    snapshot = worker.peer.come_back()
    assert (snapshot["running"], snapshot["reserved"]) == ([], [])
    assert "Signalbox" not in worker.log()
    assert "Unrecoverable" not in worker.log()


def gone(pid: int) -> bool:
    """Whether nothing has this pid, not even a zombie."""
    return not Path(f"/proc/{pid}").exists()


def dead(pid: int) -> bool:
    """Whether a process cannot do anything any more: an orphan may wait as a zombie for pid 1 to reap it."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
