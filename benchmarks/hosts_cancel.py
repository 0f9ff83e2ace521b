"""A cancel with many hosts: how long until its proof is recorded, against one host, in turns.

The hosts are simulated on the bus: one of them has the task and proves its end some milliseconds after the command; all
others have nothing of it and say so, at once, or spread as controllers do. A real reconciler records it.
"""

import argparse
import asyncio
import statistics
import sys
import time
from uuid import uuid4

from hosts import Host, beat, recorded
from redis.asyncio import Redis
from stores import KEY, Stores, a_bus_and_a_record, a_service

from bench.load.hosts import answered, know_nothing
from signalbox.bus.publisher import publish_command, publish_events
from signalbox.bus.receipts import Receipts
from signalbox.messages.base import utc_now
from signalbox.messages.commands import CancelTask
from signalbox.messages.events import TaskCancelled, TaskStarted
from signalbox.messages.receipts import Recorded
from signalbox.service import background
from signalbox_controller.commands.spread import delays

#: Seconds from the command to the proof.
_DEATH = 0.006
_AT_ONCE = (0.0, 0.0)
#: Seconds between two cancels, and that one may take.
_PAUSE, _TIMEOUT = 0.6, 30.0


def _a_started_task(host: str) -> TaskStarted:
    at, pid = utc_now(), 1000
    return TaskStarted(
        at=at,
        host=host,
        task_id=str(uuid4()),
        run=f"0000.{round(at.timestamp() * 1000):013d}.abcdef12.{pid}",
        pid=pid,
        celery_name="shop.orders.charge",
        name="charge",
        worker=f"worker@{host}",
        queue="orders",
    )


async def _prove(redis: Redis, command: CancelTask, started: TaskStarted) -> None:
    await asyncio.sleep(_DEATH)
    done, answer = answered(command, started.host, "cancelled")
    shared = {name: getattr(started, name) for name in ("host", "task_id", "run", "celery_name", "name", "worker")}
    killed = TaskCancelled(**shared, at=utc_now(), pid=started.pid, command_id=command.command_id, signal="TERM")
    await publish_events(redis, [killed, done], [answer])


async def one_cancel(redis: Redis, hosts: list[str], over: tuple[float, float]) -> float:
    """Milliseconds from the command to the receipt that its proof is recorded."""
    started = _a_started_task(hosts[0])
    await publish_events(redis, [started])
    await asyncio.sleep(_PAUSE)
    now = utc_now()
    command = CancelTask(
        command_id=str(uuid4()),
        task_id=started.task_id,
        issued_by="user:bench",
        issued_at=now,
        expires_at=now,
        reason="",
    )
    receipts, began = Receipts(redis, command.command_id), time.perf_counter()
    await publish_command(redis, KEY, command)
    answering = [
        asyncio.create_task(_prove(redis, command, started)),
        asyncio.create_task(know_nothing(redis, command, hosts[1:], over)),
    ]
    while time.perf_counter() - began < _TIMEOUT:
        for receipt in await receipts.next(2.0):
            if isinstance(receipt, Recorded) and receipt.host == hosts[0]:
                taken = (time.perf_counter() - began) * 1000
                await asyncio.gather(*answering)
                return taken
    raise SystemExit("a cancel was never recorded")


async def _measure(stores: Stores, count: int, cancels: int, rounds: int) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {}
    for _ in range(rounds):
        for size, over in ((1, _AT_ONCE), (count, _AT_ONCE), (count, delays(count))):
            name = f"{size} hosts, {'spread' if over != _AT_ONCE else 'at once'}"
            await stores.empty()
            hosts = [Host(number, 3) for number in range(size)]
            async with (
                a_service(sys.executable, "signalbox_reconciler", stores.environ),
                background(lambda: beat(stores.redis, hosts)),  # noqa: B023
            ):
                await recorded(stores.database, size)
                names = [host.name for host in hosts]
                times = [await one_cancel(stores.redis, names, over) for _ in range(cancels + 2)]
            figures.setdefault(name, []).append(statistics.median(times[2:]))
    return figures


async def benchmark(count: int, cancels: int, rounds: int) -> list[str]:
    """Measure in turns; return the figures, a line each."""
    async with a_bus_and_a_record() as stores:
        figures = await _measure(stores, count, cancels, rounds)
    single = statistics.median(next(iter(figures.values())))
    return [
        f"{name:20} p50 {min(of):6.1f} to {max(of):6.1f} ms   {statistics.median(of) / single:4.1f} x one host"
        for name, of in figures.items()
    ]


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=1000, help="simulated hosts (default: 1000)")
    parser.add_argument("--count", type=int, default=20, help="cancels in a round (default: 20)")
    parser.add_argument("--rounds", type=int, default=2, help="how often each is measured (default: 2)")
    arguments = parser.parse_args()
    print("\n".join(asyncio.run(benchmark(arguments.hosts, arguments.count, arguments.rounds))))


if __name__ == "__main__":
    main()
