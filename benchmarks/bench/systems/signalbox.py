"""Signalbox as it is measured: everything of `make up`, on embedded stores in the folder of the part."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.errors import BenchmarkError
from bench.systems import application
from bench.systems.record import ONE_ADDRESS
from bench.systems.waiting import PATIENCE, reach
from signalbox_local.plan import Plan
from signalbox_local.ports import free_port
from signalbox_local.run import LocalRun
from signalbox_local.stores.postgres import EmbeddedPostgres
from signalbox_local.stores.valkey import EmbeddedValkey

#: The services of ours, and the stores that they need.
SERVICES = ("api", "controller", "reconciler")


@dataclass(frozen=True)
class Signalbox:
    """All of Signalbox, running."""

    run: LocalRun
    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey
    api: httpx.AsyncClient

    def groups(self) -> dict[str, list[int]]:
        """The pid of each part, by its name; the controller has its Celery processes below it."""
        children = {name: service.child for name, service in self.run.services.items()}
        children |= {"PostgreSQL": self.postgres.child, "Redis": self.valkey.child}
        return {name: [child.pid] for name, child in children.items() if child.pid and child.running}

    async def consumes(self) -> None:
        """Wait until the worker does."""

        async def look() -> bool:
            answer = await self.api.get("/scheduler/celery-status/")
            return answer.status_code == httpx.codes.OK and answer.json()["celery"] == "running"

        await reach("Signalbox' worker consumes", look, pause=0.1)

    async def workers(self) -> list[int]:
        """The pids of the main processes of its workers."""
        status = (await self.api.get("/scheduler/celery-status/")).raise_for_status().json()
        processes = [process for host in status["hosts"] for process in host["processes"]]
        return [process["pid"] for process in processes if process["kind"] == "worker" and process["pid"]]

    async def shows_running(self, task_id: str) -> None:
        """Wait until the record shows that this task runs."""

        async def look() -> bool:
            answer = await self.api.get(f"/scheduler/tasks/{task_id}/")
            return answer.status_code == httpx.codes.OK and answer.json()["status"] == "running"

        await reach(f"task {task_id} is shown as running", look, pause=0.005)

    async def cancel(self, task_id: str) -> None:
        """Cancel a running task.

        Raises:
            BenchmarkError: the answer is no success.
        """
        answer = await self.api.post(f"/scheduler/cancel-task/{task_id}/", json={"reason": "benchmark"})
        if answer.status_code != httpx.codes.OK:
            raise BenchmarkError(f"Signalbox did not cancel {task_id}: {answer.status_code} {answer.text[:200]}")


@asynccontextmanager
async def signalbox(folder: Path, *, concurrency: int = 1, multiplier: int = 4) -> AsyncIterator[Signalbox]:
    """Start everything in this folder, the worker too; stop it at the end."""
    config = application.write(folder / "application", concurrency=concurrency, multiplier=multiplier)
    data = folder / "data"
    run = LocalRun(
        Plan(data=data, port=free_port(), config=config, hostname="bench", limits=ONE_ADDRESS), lambda _line: None
    )
    if not isinstance(run.postgres, EmbeddedPostgres) or not isinstance(run.valkey, EmbeddedValkey):
        raise BenchmarkError("the stores of a benchmark are embedded ones")
    try:
        await run.start()
        headers = {"Authorization": f"Bearer {run.token}"}
        async with httpx.AsyncClient(base_url=run.plan.url, headers=headers, timeout=PATIENCE, trust_env=False) as api:
            system = Signalbox(run, run.postgres, run.valkey, api)
            await system.consumes()
            yield system
    finally:
        await run.stop()
