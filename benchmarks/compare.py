"""Comparison of two commits: cancel latency and worker throughput, as ratios new/old.

Two whole systems run side by side, one of each commit, and are measured in turns, so that a busy moment of the machine
falls on both. `--old` is a worktree of the old commit after `make install`; without it this commit is compared with
itself, which shows the noise. The throughput is that of one prefork child with the agent, on tasks that do nothing.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from celery import Celery
from redis.asyncio import Redis

from bench.figures import percentile
from bench.systems.waiting import reach
from signalbox_local.plan import ROOT
from signalbox_local.ports import free_port

#: Seconds for a system to start, and for a batch of tasks to be recorded.
_TIMEOUT = 120.0
_CONFIG = """
[apps.bench]
app = "bench_app"
directory = "{folder}"
[apps.bench.environment]
SHOP_BROKER_URL = "${{SHOP_BROKER_URL}}"
[[apps.bench.workers]]
name = "bench"
concurrency = 1
"""
#: `hold` keeps the only child busy until all tasks wait; it and `stamp`, the last task, note their times in Redis.
_APP = """
import os, time
from celery import Celery
from redis import Redis
app = Celery(broker=os.environ["SHOP_BROKER_URL"])
redis = Redis.from_url(os.environ["SHOP_BROKER_URL"], socket_timeout=None)

@app.task
def hang():
    time.sleep(600)

@app.task
def hold():
    redis.blpop("release")
    redis.rpush("times", time.time())

@app.task
def empty():
    pass

@app.task
def stamp():
    redis.rpush("times", time.time())
"""


@dataclass
class System:
    """A running system of one commit, and what was measured on it."""

    api: httpx.AsyncClient
    celery: Celery
    broker: Redis
    #: Milliseconds from the request of a cancel to its answer.
    answers: list[float] = field(default_factory=list)
    #: Tasks a second.
    rates: list[float] = field(default_factory=list)

    def send(self, name: str) -> str:
        """Send a task; return its id."""
        return str(self.celery.send_task(f"bench_app.{name}", ignore_result=True).id)

    async def measure_cancel(self) -> None:
        """Time one cancel of a running task."""
        task_id = await self.running(self.send("hang"))
        began = time.perf_counter()
        answer = await self.api.post(f"/scheduler/cancel-task/{task_id}/")
        self.answers.append((time.perf_counter() - began) * 1000)
        if answer.status_code != httpx.codes.OK:
            raise SystemExit(f"a cancel failed: {answer.status_code} {answer.text}")

    async def measure_throughput(self, count: int) -> None:
        """Time `count` empty tasks, then wait until all of them are recorded."""
        await self.running(self.send("hold"))
        await asyncio.to_thread(lambda: [self.send("empty") for _ in range(count)])
        last = self.send("stamp")
        await self.broker.delete("times")
        await self.broker.rpush("release", 1)
        await reach(f"the end of {count} tasks", lambda: self.has_status(last, "completed"), within=_TIMEOUT)
        begin, end = map(float, await self.broker.lrange("times", 0, -1))
        self.rates.append(count / (end - begin))

    async def running(self, task_id: str) -> str:
        """Wait until the record shows that it runs; its id."""
        await reach(f"the start of {task_id}", lambda: self.has_status(task_id, "running"), pause=0.005)
        return task_id

    async def has_status(self, task_id: str, status: str) -> bool:
        """Whether the record shows it so."""
        answer = await self.api.get(f"/scheduler/tasks/{task_id}/")
        return answer.status_code == httpx.codes.OK and bool(answer.json()["status"] == status)


def _write_application(folder: Path) -> None:
    folder.mkdir()
    (folder / "bench_app.py").write_text(_APP)
    (folder / "signalbox.toml").write_text(_CONFIG.format(folder=folder))


@asynccontextmanager
async def a_system(python: Path, checkout: Path, folder: Path) -> AsyncIterator[System]:
    """Run `signalbox_local up` of a checkout, with its data in `folder`."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")} | {
        "PYTHONPATH": str(checkout / "deploy" / "local"),
        "SIGNALBOX_DATA": str(folder / "data"),
        "SIGNALBOX_CONFIG": str(folder / "signalbox.toml"),
        "SIGNALBOX_PORT": str(free_port()),
    }
    command = [str(python), "-m", "signalbox_local", "up"]
    process = await asyncio.create_subprocess_exec(*command, env=environ, cwd=folder, stdout=sys.stderr)
    try:
        yield await _connect(process, folder / "data")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _connect(process: asyncio.subprocess.Process, data: Path) -> System:
    async def has_started() -> bool:
        if process.returncode is not None:
            raise SystemExit(f"the system in {data} ended while it started")
        return (data / "example.json").exists()

    await reach(f"the start of the system in {data}", has_started, within=_TIMEOUT)
    address: dict[str, Any] = json.loads((data / "client.json").read_text())
    broker = json.loads((data / "example.json").read_text())["SHOP_BROKER_URL"]
    headers = {"Authorization": f"Bearer {address['token']}"}
    api = httpx.AsyncClient(base_url=address["url"], headers=headers, timeout=30.0, trust_env=False)
    return System(api, Celery(broker=broker, set_as_current=False), Redis.from_url(broker))


async def benchmark(old: Path, rounds: int, cancels: int, tasks: int) -> tuple[System, System]:
    """Measure both commits in turns; for cancels, the one that goes first alternates."""
    pythons = {"old": (old / ".venv" / "bin" / "python", old), "new": (Path(sys.executable), ROOT)}
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
        async with AsyncExitStack() as stack:
            for name in pythons:
                _write_application(Path(folder) / name)
            systems = [
                await stack.enter_async_context(a_system(*where, Path(folder) / name))
                for name, where in pythons.items()
            ]
            for _ in range(rounds):
                for number in range(cancels):
                    for system in systems[:: -1 if number % 2 else 1]:
                        await system.measure_cancel()
                for system in systems:
                    await system.measure_throughput(tasks)
            return systems[0], systems[1]


def report(old: System, new: System) -> str:
    """The figures of both commits and their ratio, a line each."""
    figures: list[tuple[str, Callable[[System], float]]] = [
        ("cancel p50, ms", lambda one: percentile(one.answers, 50)),
        ("cancel p99, ms", lambda one: percentile(one.answers, 99)),
        ("empty tasks a second", lambda one: statistics.median(one.rates)),
    ]
    lines = [f"{'':22}{'old':>10}{'new':>10}{'new/old':>10}"]
    for name, figure in figures:
        before, after = figure(old), figure(new)
        lines.append(f"{name:22}{before:10.1f}{after:10.1f}{after / before:10.2f}")
    return "\n".join(lines)


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--old", type=Path, default=ROOT, help="a worktree of the old commit, with its own .venv")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default: 5)")
    parser.add_argument("--count", type=int, default=40, help="cancels in a round (default: 40)")
    parser.add_argument("--tasks", type=int, default=2000, help="empty tasks in a round (default: 2000)")
    arguments = parser.parse_args()
    print(report(*asyncio.run(benchmark(arguments.old.resolve(), arguments.rounds, arguments.count, arguments.tasks))))


if __name__ == "__main__":
    main()
