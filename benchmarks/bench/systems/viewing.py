"""Viewers of a running Signalbox while its record changes: how late the changes come."""

import asyncio
import json
from dataclasses import dataclass

from bench.errors import BenchmarkError
from bench.systems.loads import module, run_load
from bench.systems.signalbox import Signalbox
from bench.systems.usage import by_group, cpu_between
from signalbox.bus import names
from signalbox.bus.connection import connect
from signalbox_local.ports import HOST

#: An event that a task has started changes the task and its log.
_CHANGES_OF_AN_EVENT = 2
#: Seconds that the changes go on after the viewers have stopped to count.
_AFTER = 0.5


@dataclass(frozen=True)
class Viewing:
    """What the viewers saw; milliseconds from the commit."""

    p50: float
    p99: float
    #: Changes a second, as they were published.
    changes: float
    #: Percent of a core that the api took.
    cpu: float
    cut_off: int


async def view(system: Signalbox, viewers: int, changes: int, seconds: float) -> Viewing:
    """Connect so many viewers, and publish so many changes a second while they watch.

    Raises:
        BenchmarkError: they have seen nothing, or could not connect.
    """
    events = max(1, changes // _CHANGES_OF_AN_EVENT)
    api = {"api": system.groups()["api"]}
    begun, before = await _published(system), by_group(api)
    clock = asyncio.get_running_loop().time
    async with module(
        "viewers", HOST, system.run.plan.port, viewers, seconds, BENCH_TOKEN=system.run.token
    ) as watching:
        await watching.line()  # all are connected
        began = clock()
        load = await run_load("changes", events, seconds + _AFTER, SIGNALBOX_REDIS_URL=system.valkey.url)
        said = json.loads(await watching.line())
        cpu = 100 * cpu_between(before, by_group(api))["api"] / (clock() - began)
    if "p99" not in said:
        raise BenchmarkError(f"{viewers} viewers have seen no change")
    published = await _published(system) - begun
    return Viewing(said["p50"], said["p99"], published / (load.ended - load.began), cpu, said["cut_off"])


async def _published(system: Signalbox) -> int:
    """The changes that were ever published."""
    redis = connect(system.valkey.url)
    try:
        return int((await redis.xinfo_stream(names.CHANGES))["entries-added"])
    finally:
        await redis.aclose()
