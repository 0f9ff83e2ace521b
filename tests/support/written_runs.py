"""A host whose tasks write down that they ran, and cancels that nobody waits for."""

import asyncio
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from celery import Celery, signature

from signalbox.bus.publisher import publish_command
from signalbox.messages.base import utc_now
from signalbox.messages.commands import CancelTask
from signalbox.messages.events import TaskSucceeded
from support.eventually import eventually
from support.host import KEY, Host

WRITTEN_RUNS = """
[apps.written_runs]
app = "written_runs"
directory = "{examples}/../tests/support/apps"
[apps.written_runs.environment]
RUNS_BROKER = "${{SHOP_BROKER_URL}}"
RUNS_STORE = "${{SHOP_RESULT_BACKEND}}"
[[apps.written_runs.workers]]
name = "worker"
concurrency = 1
"""


class WrittenRuns:
    """The file that tasks write to, and those tasks; see `apps/written_runs.py`."""

    def __init__(self, host: Host, file: Path) -> None:
        self._host = host
        self._file = file

    def task(self, name: str, app: Celery | None = None, **fields: object) -> Any:
        """One that is told where to write, to be sent or put into a canvas."""
        return signature(
            f"written_runs.{name}", kwargs={"file": str(self._file), **fields}, app=app or self._host.celery
        )

    async def send(
        self, name: str = "mark", *, task_id: str = "", options: dict[str, Any] | None = None, **fields: object
    ) -> str:
        """Send one; its id."""
        task_id = task_id or str(uuid.uuid4())
        await asyncio.to_thread(self._send, name, [task_id], options or {}, fields)
        return task_id

    async def send_all(self, task_ids: Sequence[str]) -> None:
        """Send one for each id."""
        await asyncio.to_thread(self._send, "mark", task_ids, {}, {})

    def _send(
        self, name: str, task_ids: Sequence[str], options: Mapping[str, Any], fields: Mapping[str, object]
    ) -> None:
        # Without a result backend: a client that has one listens for each result.
        with Celery(broker=self._host.broker, set_as_current=False) as app, app.producer_pool.acquire() as producer:
            for task_id in task_ids:
                self.task(name, app, **fields).apply_async(task_id=task_id, producer=producer, **options)

    async def first(self) -> str:
        """The id of the first that ran, as soon as there is one."""

        async def look() -> str | None:
            return self._file.read_text(encoding="ascii").split()[0] if self._file.exists() else None

        return await eventually(look, "a task runs")

    async def written(self) -> list[str]:
        """The ids that ran, once all that was sent before now has had its turn."""
        last = await self.send()
        await self._host.seen(TaskSucceeded, task_id=last)
        ran = self._file.read_text(encoding="ascii").split()
        ran.remove(last)
        return ran


async def cancel_all(host: Host, task_ids: Iterable[str], *, lifetime: float = 60.0) -> None:
    """Give the commands, which expire in so many seconds, and wait for nobody."""
    for task_id in task_ids:
        now = utc_now()
        command = CancelTask(
            command_id=str(uuid.uuid4()),
            issued_by="user:alice",
            issued_at=now,
            expires_at=now + timedelta(seconds=lifetime),
            task_id=task_id,
        )
        await publish_command(host.redis, KEY, command)


def new_ids(count: int) -> list[str]:
    """Ids for so many tasks."""
    return [str(uuid.uuid4()) for _ in range(count)]
