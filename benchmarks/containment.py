"""Price of the agent with cgroups: empty tasks a second, against a worker without any monitoring.

Both workers have one prefork child and the same broker, and are measured in turns in one run, so that a busy moment of
the machine falls on both; the one that goes first alternates. The ratio is that of the medians. The controller runs on
the same machine, as it does on every host; api and record do not.

Where the time goes is told by the CPU time of each process: by its median over the rounds, and by the median of the
ratios of a round, with their middle half. On a busy machine these say more than the rates, and many short rounds say
more than few long ones. On a machine with fewer idle cores than processes, what controller and Redis use is taken from
the worker, too.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
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


#: The processes whose CPU time is told.
PARTS = ("main process", "pool child", "controller", "Redis")

Processes = Mapping[str, psutil.Process]


def cpu(processes: Processes) -> Counter[str]:
    """The CPU time of each, in microseconds; by its threads, as /proc/<pid>/stat counts hundredths of a second."""
    return Counter({part: sum(map(_on_cpu, _threads(process.pid))) // 1000 for part, process in processes.items()})


def _threads(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").iterdir())


def _on_cpu(thread: Path) -> int:
    return int((thread / "schedstat").read_text().split()[0])


@dataclass
class Side:
    """One of the two workers; its queue bears its name."""

    name: str
    host: Host
    broker: Redis
    #: The pid of its main process.
    pid: int
    #: Of controller and Redis, if they run on this machine.
    others: Processes
    #: Tasks a second.
    rates: list[float] = field(default_factory=list)
    #: By process, for a task; in microseconds.
    costs: list[Mapping[str, float]] = field(default_factory=list)

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
        processes = self._processes()
        used = cpu(processes)
        await broker.rpush(f"release:{self.name}", 1)

        async def stamped() -> bool:
            return int(await broker.llen(times)) == 2

        await until(f"the end of {count} tasks", stamped)
        begin, end = map(float, await broker.lrange(times, 0, -1))
        if self.name == "contained":  # its last events must not be published while the other one is measured
            await self.host.seen(TaskSucceeded, task_id=last)
        used_now = cpu(processes)
        self.rates.append(count / (end - begin))
        self.costs.append({part: (used_now[part] - used[part]) / count for part in processes})

    def _processes(self) -> Processes:
        main = psutil.Process(self.pid)
        return {"main process": main, "pool child": main.children()[0], **self.others}

    def cost(self, part: str) -> float:
        """CPU time of one process for a task, in microseconds; 0 where it is not known."""
        return statistics.median(cost.get(part, 0.0) for cost in self.costs)


@contextmanager
def _a_bare_worker(folder: Path, broker: str) -> Iterator[int]:
    """Run a worker as Celery itself launches it; the pid of its main process."""
    environ = {**os.environ, "SHOP_BROKER_URL": broker, "SIDE": "bare"}
    command = [sys.executable, "-m", "celery", "-A", "bench_app", *_BARE, *_QUIET]
    with (folder / "bare.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


async def _redis_of(broker: Redis) -> Processes:
    """The process of Redis, if it runs here."""
    pid = int((await broker.info("server"))["process_id"])
    found = psutil.pid_exists(pid) and psutil.Process(pid).name().startswith(("redis", "valkey"))
    return {"Redis": psutil.Process(pid)} if found else {}


async def benchmark(rounds: int, tasks: int, *, cgroups: bool) -> tuple[Side, Side]:
    """Measure both workers in turns."""
    environ = {} if cgroups else {"SIGNALBOX_CGROUPS": "off"}
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as name:
        folder = Path(name)
        (folder / "bench_app.py").write_text(_APP)
        configuration = _CONFIG.replace("{folder}", str(folder))
        async with (
            a_redis(folder / "redis") as redis,
            a_host(folder / "host", redis, configuration, **environ) as host,
        ):
            seen = await host.seen(HostSeen)
            if cgroups and seen.proof != "cgroup":
                raise SystemExit(f"this machine has no cgroups for the controller: {seen.proof_detail}")
            await host.process_is("bench", "running")
            broker = Redis.from_url(host.broker)
            with _a_bare_worker(folder, host.broker) as bare:
                controller = {} if host.process is None else {"controller": psutil.Process(host.process.pid)}
                others = {**controller, **await _redis_of(broker)}
                sides = (
                    Side("bare", host, broker, bare, others),
                    Side("contained", host, broker, await host.pid("bench"), others),
                )
                for number in range(rounds + 1):
                    for side in sides[:: -1 if number % 2 else 1]:
                        await side.measure(tasks)
            await broker.aclose()
            for side in sides:
                del side.rates[0], side.costs[0]  # both were warming up
            return sides


def report(bare: Side, contained: Side) -> str:
    """The rates of both workers, their ratio, and the CPU time of each process for a task."""
    before, after = statistics.median(bare.rates), statistics.median(contained.rates)
    rounds, ratio = len(bare.rates), after / before
    lines = [
        f"empty tasks a second, {rounds} rounds: without monitoring {before:.0f}, with {after:.0f}, ratio {ratio:.3f}",
        f"{'CPU for a task, µs':22}{'without':>10}{'with':>10}{'more':>10}   ratio, its middle half",
    ]
    for part in PARTS:
        without, with_agent = bare.cost(part), contained.cost(part)
        line = f"{part:22}{without:10.1f}{with_agent:10.1f}{with_agent - without:10.1f}"
        lines.append(f"{line}   {_ratio(bare, contained, (part,))}")
    lines.append(f"{'the worker':52}   {_ratio(bare, contained, PARTS[:2])}")
    return "\n".join(lines)


def _ratio(bare: Side, contained: Side, parts: tuple[str, ...]) -> str:
    """The CPU time of these processes with the agent, as a multiple of that without, in the rounds."""
    pairs = zip(bare.costs, contained.costs, strict=True)
    sums = [tuple(sum(cost.get(part, 0.0) for part in parts) for cost in pair) for pair in pairs]
    ratios = [after / before for before, after in sums if before]
    if len(ratios) < 2:
        return "?"
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.2f}  {low:.2f} - {high:.2f}"


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8, help="how often each is measured (default: 8)")
    parser.add_argument("--tasks", type=int, default=3000, help="empty tasks in a round (default: 3000)")
    parser.add_argument("--without-cgroups", action="store_true", help="the agent without cgroups")
    arguments = parser.parse_args()
    began = time.monotonic()
    measured = benchmark(arguments.rounds, arguments.tasks, cgroups=not arguments.without_cgroups)
    sys.stdout.write(f"{report(*asyncio.run(measured))}\n")
    sys.stderr.write(f"measured in {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main()
