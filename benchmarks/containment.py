"""Price of the agent with cgroups: empty tasks a second, against a worker without any monitoring.

Both workers have one prefork child and the same broker, and are measured in turns in one run, so that a busy moment of
the machine falls on both; the one that goes first alternates. The ratio is that of the medians. The controller runs on
the same machine, as it does on every host; api and record do not.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from compare import until
from redis.asyncio import Redis

from signalbox.messages.events import HostSeen, TaskSucceeded
from support.host import Host, a_host
from support.stores.choose import a_redis

_CONFIG = """
[apps.bench]
app = "bench_app"
directory = "{folder}"
[apps.bench.environment]
SHOP_BROKER_URL = "${{SHOP_BROKER_URL}}"
SIDE = "contained"
[[apps.bench.workers]]
name = "bench"
queues = ["contained"]
concurrency = 1
"""
#: `hold` keeps the only child busy until all tasks wait; it and `stamp`, the last task, note their times in Redis.
_APP = """
import os, time
from celery import Celery
from redis import Redis
app = Celery(broker=os.environ["SHOP_BROKER_URL"])
redis, side = Redis.from_url(os.environ["SHOP_BROKER_URL"], socket_timeout=None), os.environ["SIDE"]

@app.task
def hold():
    redis.rpush(f"held:{side}", 1)
    redis.blpop(f"release:{side}")
    redis.rpush(f"times:{side}", time.time())

@app.task
def empty():
    pass

@app.task
def stamp():
    redis.rpush(f"times:{side}", time.time())
"""
#: As a controller launches one.
_BARE = ("worker", "-Q", "bare", "-n", "bare@%h", "-c", "1", "-P", "prefork", "-l", "INFO")
_QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")


@dataclass
class Side:
    """One of the two workers; its queue bears its name."""

    name: str
    host: Host
    broker: Redis
    #: Tasks a second.
    rates: list[float] = field(default_factory=list)

    def _send(self, name: str) -> str:
        send = self.host.celery.send_task
        return str(send(f"bench_app.{name}", queue=self.name, ignore_result=True).id)

    async def measure(self, count: int) -> None:
        """Time `count` empty tasks."""
        broker, times = self.broker, f"times:{self.name}"
        await broker.delete(times)
        await asyncio.to_thread(self._send, "hold")
        await broker.blpop(f"held:{self.name}")
        await asyncio.to_thread(lambda: [self._send("empty") for _ in range(count)])
        last = await asyncio.to_thread(self._send, "stamp")
        await broker.rpush(f"release:{self.name}", 1)

        async def stamped() -> bool:
            return int(await broker.llen(times)) == 2

        await until(f"the end of {count} tasks", stamped)
        begin, end = map(float, await broker.lrange(times, 0, -1))
        self.rates.append(count / (end - begin))
        if self.name == "contained":  # its last events must not be published while the other one is measured
            await self.host.seen(TaskSucceeded, task_id=last)


@contextmanager
def _a_bare_worker(folder: Path, broker: str) -> Iterator[None]:
    """Run a worker as Celery itself launches it."""
    environ = {**os.environ, "SHOP_BROKER_URL": broker, "SIDE": "bare"}
    command = [sys.executable, "-m", "celery", "-A", "bench_app", *_BARE, *_QUIET]
    with (folder / "bare.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


async def benchmark(rounds: int, tasks: int) -> tuple[Side, Side]:
    """Measure both workers in turns."""
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as name:
        folder = Path(name)
        (folder / "bench_app.py").write_text(_APP)
        configuration = _CONFIG.replace("{folder}", str(folder))
        async with a_redis(folder / "redis") as redis, a_host(folder / "host", redis, configuration) as host:
            seen = await host.seen(HostSeen)
            if seen.proof != "cgroup":
                raise SystemExit(f"this machine has no cgroups for the controller: {seen.proof_detail}")
            await host.process_is("bench", "running")
            broker = Redis.from_url(host.broker)
            sides = Side("bare", host, broker), Side("contained", host, broker)
            with _a_bare_worker(folder, host.broker):
                for number in range(rounds + 1):
                    for side in sides[:: -1 if number % 2 else 1]:
                        await side.measure(tasks)
            await broker.aclose()
            for side in sides:
                del side.rates[0]  # both were warming up
            return sides


def report(bare: Side, contained: Side) -> str:
    """The rates of both workers, and their ratio."""
    before, after = statistics.median(bare.rates), statistics.median(contained.rates)
    return (
        f"empty tasks a second, {len(bare.rates)} rounds: without monitoring {before:.0f}, "
        f"with agent and cgroups {after:.0f}, ratio {after / before:.3f}"
    )


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8, help="how often each is measured (default: 8)")
    parser.add_argument("--tasks", type=int, default=3000, help="empty tasks in a round (default: 3000)")
    arguments = parser.parse_args()
    began = time.monotonic()
    sys.stdout.write(f"{report(*asyncio.run(benchmark(arguments.rounds, arguments.tasks)))}\n")
    sys.stderr.write(f"measured in {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main()
