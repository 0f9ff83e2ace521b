"""Badges: their lateness on the page while all of Celery is stopped and started repeatedly.

Measured on an open page in a real browser and on the live websocket, with Redis and with RabbitMQ as Celery's broker.
The reference is the end of the last pid in `/proc`, and the line of Celery's log that says that the worker is ready.
Exits with 1 when anything was shown too early, or more than 0.3 s late.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser

from support.badges import Lateness, measure
from support.browser import Windows, a_browser
from support.stores.choose import a_postgres, a_rabbit, a_redis
from support.stores.databases import a_database
from support.stores.server import Postgres
from support.system import a_system

BROKERS = ("redis", "rabbitmq")


async def benchmark(broker: str, rounds: int) -> Lateness:
    """Start a system in a folder of its own, measure, and stop it."""
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as name:
        folder = Path(name)
        async with a_browser() as browser, a_postgres(folder / "postgres") as postgres:
            if broker == "redis":
                return await _measured(folder, postgres, browser, rounds, "")
            async with a_rabbit(folder / "rabbit") as rabbit:
                return await _measured(folder, postgres, browser, rounds, rabbit.url_of(rabbit.next_place()))


async def _measured(folder: Path, postgres: Postgres, browser: Browser, rounds: int, broker: str) -> Lateness:
    async with (
        a_redis(folder / "redis") as redis,
        a_database(postgres) as database,
        a_system(folder / "data", postgres, redis, database, broker=broker) as system,
    ):
        windows = Windows(browser, system.url)
        try:
            return await measure(system, await windows.open_as(*system.admin), rounds)
        finally:
            await windows.close()


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20, help="how often to stop and start (default: 20)")
    parser.add_argument("--broker", choices=BROKERS, action="append", help="default: one after the other")
    arguments = parser.parse_args()
    good = True
    for broker in arguments.broker or BROKERS:
        lateness = asyncio.run(benchmark(broker, arguments.count))
        print(f"with {broker}\n{lateness.report()}", flush=True)
        good = good and lateness.on_time and lateness.true
    sys.exit(not good)


if __name__ == "__main__":
    main()
