"""Bulk cancel of ten thousand waiting tasks: its duration, and the longest turn of the worker's event loop.

The whole of Signalbox runs: the tasks are chosen by a filter over HTTP, and all of them are recorded when the answer
comes. One worker has taken every task from its queue and runs two of them. The longest turn of its event loop is
measured on that loop itself, without the time for which other processes had the machine: until the answer, and until
Celery has announced and acknowledged each of them. Exits with 1 when it takes ten seconds or more, a turn 50 ms or
more, or any of the tasks has run.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
from celery import Celery
from redis.asyncio import Redis

from signalbox_local.plan import Plan
from signalbox_local.ports import free_port
from signalbox_local.run import LocalRun
from signalbox_local.services.environment import shop
from support.loop_time import GREEDY, LongestTurn, send_many

#: Most seconds until the answer.
MOST_TIME = 10.0
#: Most seconds of one turn of the worker's event loop.
MOST_TURN = 0.05
#: Seconds for the tasks to be sent, received and recorded.
_TIMEOUT = 180.0
_PATH = "/scheduler/cancel-tasks/"
_FILTER = {"name": "count_stock"}


async def _until(what: str, reached: Callable[[], Awaitable[bool]]) -> None:
    end = time.monotonic() + _TIMEOUT
    while not await reached():
        if time.monotonic() > end:
            sys.exit(f"{what}: not reached within {_TIMEOUT:g} s")
        await asyncio.sleep(0.2)


async def measure(run: LocalRun, turn: LongestTurn, count: int) -> bool:
    """Print the figures; return whether all are within their limits."""
    stores = shop(run.valkey.url)
    headers = {"Authorization": f"Bearer {run.token}"}
    async with httpx.AsyncClient(base_url=run.plan.url, headers=headers, timeout=_TIMEOUT) as api:

        async def counted() -> dict[str, int]:
            answer = await api.post(_PATH, json={"filter": _FILTER, "dry_run": True})
            found: dict[str, int] = answer.raise_for_status().json()
            return found

        async def all_recorded() -> bool:
            found = await counted()
            return found["pending"] == count and found["running"] == 2

        with Celery(broker=stores["SHOP_BROKER_URL"], set_as_current=False) as app:
            await asyncio.to_thread(send_many, app, count + 2)
        await _until("all tasks are received and recorded", all_recorded)
        turn.forget()
        began = time.monotonic()
        response = await api.post(_PATH, json={"filter": {**_FILTER, "status": "pending"}, "wait": 60})
        took = time.monotonic() - began
        answer, longest = response.raise_for_status().json(), turn.seconds
        async with Redis.from_url(stores["SHOP_BROKER_URL"]) as broker:

            async def acknowledged() -> bool:
                return await broker.hlen("unacked") == 0

            await _until("Celery has acknowledged all of them", acknowledged)
        settled, afterwards = time.monotonic() - began, await turn.settled()
        print(f"answer after       {took:8.2f} s   {answer['message']}")
        print(f"longest turn       {longest * 1000:8.1f} ms  of the worker's event loop until the answer")
        print(f"until settled      {afterwards * 1000:8.1f} ms  which is after {settled:.1f} s")
        began = time.monotonic()
        response = await api.post(_PATH, json={"filter": _FILTER})
        print(f"those that run     {time.monotonic() - began:8.2f} s   {response.raise_for_status().json()['message']}")
        return took < MOST_TIME and afterwards < MOST_TURN and answer["counts"] == {"dropped": count}


async def main() -> None:
    """Start everything, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="tasks that wait")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        turns = Path(folder) / "turns"
        os.environ["TURNS_FILE"] = str(turns)
        config = Path(folder) / "bench.toml"
        config.write_text(GREEDY.format(), encoding="utf-8")
        plan = Plan(data=Path(folder) / "data", port=free_port(), config=config, hostname="bench")
        run = LocalRun(plan, lambda _line: None)
        try:
            await run.start()
            good = await measure(run, LongestTurn(turns), arguments.count)
        finally:
            await run.stop()
    if not good:
        sys.exit("A figure exceeds its limit.")


if __name__ == "__main__":
    asyncio.run(main())
