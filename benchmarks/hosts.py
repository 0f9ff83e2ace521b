"""Many idle hosts: what their heartbeats cost the reconciler, as a share of one core.

Hosts that do nothing but beat are simulated on the bus: each has some processes, and says the same every two seconds.
`--old` is the interpreter of another commit, whose reconciler is measured in turns with this one's.
"""

import argparse
import asyncio
import sys
import time
from uuid import uuid4

from redis.asyncio import Redis
from stores import Stores, a_bus_and_a_record, a_service

from signalbox.bus.presence import HEARTBEAT
from signalbox.bus.publisher import publish_events
from signalbox.messages.base import utc_now
from signalbox.messages.events import EventNumbers, HostSeen, ProcessChanged
from signalbox.postgres.pool import Database
from signalbox.service import background

#: Seconds until every host has been recorded, and the ways of the reconciler are warm.
_WARM = 10.0
#: Seconds that the first record of all hosts may take.
_TIMEOUT = 120.0
#: Publications a second: each host is on its own, but one client has to be all of them.
_TURNS = 50


class Host:
    """A host that says the same with each heartbeat."""

    def __init__(self, number: int, processes: int) -> None:
        self.name = f"web-{number:04d}"
        self._numbers = EventNumbers(epoch=uuid4().hex, last=0)
        self._processes = [f"worker-{place}" for place in range(processes)]
        self._since = utc_now()

    def seen(self) -> HostSeen:
        """Its heartbeat of this moment."""
        now = utc_now()
        processes = (
            ProcessChanged(
                at=now, host=self.name, name=name, kind="worker", state="running", desired="running",
                pid=4711, node=f"{name}@{self.name}", since=self._since, queues=("orders",), instance="abcdef12",
            )
            for name in self._processes
        )  # fmt: skip
        return HostSeen(at=now, host=self.name, processes=tuple(processes), numbers=self._numbers, interval=HEARTBEAT)


async def beat(redis: Redis, hosts: list[Host]) -> None:
    """Publish the heartbeats of all hosts, evenly spread, until cancelled."""
    turns = round(HEARTBEAT * _TURNS)
    begin, turn = time.monotonic(), 0
    while True:
        if due := hosts[turn % turns :: turns]:
            await publish_events(redis, [host.seen() for host in due])
        turn += 1
        await asyncio.sleep(max(0.0, begin + turn / _TURNS - time.monotonic()))


async def cost(python: str, stores: Stores, hosts: list[Host], seconds: float) -> float:
    """CPU seconds of the reconciler for each second, with so many hosts."""
    await stores.empty()
    async with (
        a_service(python, "signalbox_reconciler", stores.environ) as reconciler,
        background(lambda: beat(stores.redis, hosts)),
    ):
        await recorded(stores.database, len(hosts))
        await asyncio.sleep(_WARM)
        began, used = time.perf_counter(), sum(reconciler.cpu_times()[:2])
        await asyncio.sleep(seconds)
        return (sum(reconciler.cpu_times()[:2]) - used) / (time.perf_counter() - began)


async def recorded(database: Database, count: int) -> None:
    """Wait until the record has all hosts."""
    deadline = time.monotonic() + _TIMEOUT
    while time.monotonic() < deadline:
        async with database.connection() as connection:
            there = await connection.fetchval("SELECT to_regclass('hosts') IS NOT NULL")
            if there and await connection.fetchval("SELECT count(*) FROM hosts") >= count:
                return
        await asyncio.sleep(0.1)
    raise SystemExit(f"{count} hosts are not recorded within {_TIMEOUT:g} s")


async def benchmark(pythons: dict[str, str], count: int, processes: int, seconds: float, rounds: int) -> list[str]:
    """Measure in turns; return the figures, a line each."""
    figures: dict[tuple[str, int], list[float]] = {}
    async with a_bus_and_a_record() as stores:
        for _ in range(rounds):
            for size in (1, count):
                hosts = [Host(number, processes) for number in range(size)]
                for name, python in pythons.items():
                    figures.setdefault((name, size), []).append(await cost(python, stores, hosts, seconds))
    return [
        f"{name:4} {size:5} idle hosts   {min(of) * 100:5.1f} to {max(of) * 100:5.1f} % of a core"
        for (name, size), of in figures.items()
    ]


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--old", help="the interpreter of another commit, in its .venv")
    parser.add_argument("--hosts", type=int, default=1000, help="simulated hosts (default: 1000)")
    parser.add_argument("--processes", type=int, default=3, help="processes on each (default: 3)")
    parser.add_argument("--seconds", type=float, default=20.0, help="for which each is measured (default: 20)")
    parser.add_argument("--rounds", type=int, default=2, help="how often each is measured (default: 2)")
    arguments = parser.parse_args()
    pythons = ({"old": arguments.old} if arguments.old else {}) | {"new": sys.executable}
    found = benchmark(pythons, arguments.hosts, arguments.processes, arguments.seconds, arguments.rounds)
    print("\n".join(asyncio.run(found)))


if __name__ == "__main__":
    main()
