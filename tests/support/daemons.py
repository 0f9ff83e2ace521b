"""Daemons that the tasks of `apps/daemons.py` start, and that hide from a search."""

import os
import signal
from pathlib import Path

from signalbox.messages.events import TaskStarted
from support.eventually import eventually
from support.host import Host, lives

DAEMONS = """
[apps.daemons]
app = "daemons"
directory = "{examples}/../tests/support/apps"
[apps.daemons.environment]
SHOP_BROKER_URL = "${{SHOP_BROKER_URL}}"
SHOP_RESULT_BACKEND = "${{SHOP_RESULT_BACKEND}}"
[[apps.daemons.workers]]
name = "worker"
concurrency = 1
stop_timeout = 10.0
"""
#: A shell with `env -i … &`; two forks without exec; two forks, and another program without any environment.
WAYS = ("shell", "forks", "cleared")


class Daemon:
    """A process that a task has started, and whose pid is in a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    async def pid(self) -> int:
        """Its pid, as soon as it is there."""

        async def look() -> int | None:
            return int(self.file.read_text(encoding="ascii") or 0) if self.file.exists() else None

        return await eventually(look, f"a pid in {self.file}")

    def end(self) -> None:
        """End it, should it live."""
        if self.file.exists() and lives(pid := int(self.file.read_text(encoding="ascii"))):
            os.kill(pid, signal.SIGKILL)


async def sent(host: Host, task: str, *arguments: object) -> TaskStarted:
    """Send a task and wait until it runs."""
    task_id = host.celery.send_task(f"daemons.{task}", arguments).id
    return await host.seen(TaskStarted, task_id=task_id)
