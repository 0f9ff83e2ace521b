"""Cancel latency: the time from the request to the answer, by which the process must be dead.

One worker with one child; behind each cancelled task the next one waits, so that the time until the slot is used
again is measured, too. Prints percentiles; exits with 1 when an answer came before death.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from celery import Celery

from signalbox_local.plan import ROOT, Plan
from signalbox_local.ports import free_port
from signalbox_local.progress import Report
from signalbox_local.run import LocalRun
from signalbox_local.services.environment import shop

_WORKER = """
[apps.shop]
app = "shop"
directory = "{examples}"
[apps.shop.environment]
SHOP_BROKER_URL = "${{SHOP_BROKER_URL}}"
SHOP_RESULT_BACKEND = "${{SHOP_RESULT_BACKEND}}"
SHOP_KEY_PREFIX = ""
[[apps.shop.workers]]
name = "bench"
concurrency = 1
"""
#: Seconds for a task to be recorded as running.
_TIMEOUT = 20.0


@dataclass(frozen=True)
class Cancel:
    """One cancel, measured by its caller; times in milliseconds."""

    answer: float
    #: From the request to the death of the task.
    death: float
    #: From the death of the task to the start of the one behind it.
    next_start: float
    dead_at_answer: bool
    recorded: bool


async def measure(run: LocalRun, count: int) -> list[Cancel]:
    """Cancel `count` running tasks, one after the other."""
    celery = Celery(broker=shop(run.valkey.url)["SHOP_BROKER_URL"])
    headers = {"Authorization": f"Bearer {run.token}"}
    async with httpx.AsyncClient(base_url=run.plan.url, headers=headers, timeout=_TIMEOUT) as api:
        current = _send(celery)
        cancels = []
        for done in range(count):
            following = _send(celery)
            task = await running(api, current)
            cancels.append(await _cancel(api, task, following))
            current = following
            _show_progress(done + 1, count)
        await api.post(f"/scheduler/cancel-task/{current}/")
        return cancels


def _send(celery: Celery) -> str:
    return str(celery.send_task("shop.reports.count_stock", args=[600], ignore_result=True).id)


async def _cancel(api: httpx.AsyncClient, task: dict[str, Any], following: str) -> Cancel:
    requested, began = datetime.now(UTC), time.perf_counter()
    answer = await api.post(f"/scheduler/cancel-task/{task['task_id']}/", json={"reason": "benchmark"})
    took = time.perf_counter() - began
    dead = not _exists(task["pid"])
    if answer.status_code != httpx.codes.OK:
        raise SystemExit(f"a cancel failed: {answer.status_code} {answer.text}")
    row = (await api.get(f"/scheduler/tasks/{task['task_id']}/")).json()
    started = datetime.fromisoformat((await running(api, following))["started_at"])
    finished = datetime.fromisoformat(row["finished_at"])
    return Cancel(
        answer=took * 1000,
        death=(finished - requested).total_seconds() * 1000,
        next_start=(started - finished).total_seconds() * 1000,
        dead_at_answer=dead,
        recorded=row["status"] == "failed" and row["error"] == "Task cancelled manually",
    )


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def running(api: httpx.AsyncClient, task_id: str) -> dict[str, Any]:
    """Wait until the record shows the task as running; return its row."""
    deadline = time.monotonic() + _TIMEOUT
    while time.monotonic() < deadline:
        answer = await api.get(f"/scheduler/tasks/{task_id}/")
        if answer.status_code == httpx.codes.OK and answer.json()["status"] == "running":
            return dict(answer.json())
        await asyncio.sleep(0.005)
    raise SystemExit(f"task {task_id} did not start within {_TIMEOUT:g} s")


def _show_progress(done: int, count: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done}/{count}", end="" if done < count else "\n", file=sys.stderr, flush=True)


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` of the values do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def figures(cancels: Sequence[Cancel]) -> str:
    """The figures, a line each."""
    answers = [cancel.answer for cancel in cancels]
    deaths = [cancel.death for cancel in cancels]
    starts = [cancel.next_start for cancel in cancels]
    return "\n".join(
        (
            f"cancels                       {len(cancels)}",
            f"answers before death          {sum(not cancel.dead_at_answer for cancel in cancels)}",
            f"answers before the record     {sum(not cancel.recorded for cancel in cancels)}",
            f"request to answer    p50 {percentile(answers, 50):7.1f} ms   p99 {percentile(answers, 99):7.1f} ms",
            f"request to death     p50 {percentile(deaths, 50):7.1f} ms   p99 {percentile(deaths, 99):7.1f} ms",
            f"death to next start  p50 {percentile(starts, 50):7.1f} ms   max {max(starts):7.1f} ms",
        )
    )


async def benchmark(count: int, report: Report) -> list[Cancel]:
    """Start a system in a folder of its own, measure, and stop it."""
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
        config = Path(folder) / "signalbox.toml"
        config.write_text(_WORKER.format(examples=ROOT / "examples"))
        run = LocalRun(Plan(data=Path(folder) / "data", port=free_port(), config=config, hostname="bench"), report)
        try:
            await run.start()
            return await measure(run, count)
        finally:
            await run.stop()


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="how many tasks to cancel (default: 200)")
    count = parser.parse_args().count
    cancels = asyncio.run(benchmark(count, lambda line: print(line, file=sys.stderr, flush=True)))
    print(figures(cancels))
    sys.exit(not all(cancel.dead_at_answer and cancel.recorded for cancel in cancels))


if __name__ == "__main__":
    main()
