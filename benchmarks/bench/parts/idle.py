"""Part `idle`: what everything costs while nothing happens."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

from bench.rows import Measurements, Row, Target
from bench.session import Part, Session
from bench.systems import application
from bench.systems.broker import address
from bench.systems.flower import flower
from bench.systems.signalbox import SERVICES, signalbox
from bench.systems.usage import NONE, Usage, by_group
from bench.table import number

ROWS = (
    Row("cpu", "services together, of a core", "%", Target(0.8)),
    Row("memory", "services together", "MB", Target(130.0)),
    Row("host_cpu", "of which on each host: controller, and agent of a worker", "%"),
    Row("host_memory", "of which on each host: controller, and agent of a worker", "MB"),
    Row("stores_cpu", "PostgreSQL and Redis, of a core", "%"),
    Row("stores_memory", "PostgreSQL and Redis", "MB"),
    Row("worker_cpu", "a worker that nobody watches, of a core", "%"),
)
_METHOD = """\
Everything runs and nothing happens: api, reconciler, controller, and a worker with two children and the agent. The
agent's share is what that worker takes beyond one of the same kind that was started by hand. Memory is the proportional
set size (PSS). Flower's column is its own process; it needs a broker, and no PostgreSQL, as it keeps nothing."""
#: Of each worker.
_CHILDREN = 2
#: Seconds until everything has calmed down.
_SETTLE = 5.0
_PLAIN, _WORKER = "plain", "worker"


async def measure(session: Session, measurements: Measurements) -> None:
    """Wait, in rounds."""
    options = session.options
    rounds: list[dict[str, Usage]] = []
    async with AsyncExitStack() as stack:
        system = await stack.enter_async_context(signalbox(session.folder, concurrency=_CHILDREN))
        place, notes = session.folder / "application", system.valkey.url
        plain = application.a_worker(
            "bare", place, address(system.valkey, "bare"), notes, *application.QUIET, concurrency=_CHILDREN
        )
        groups = {**system.groups(), _WORKER: await system.workers(), _PLAIN: [await stack.enter_async_context(plain)]}
        if session.flower:
            other = flower(session.flower, address(system.valkey, "flower"), session.folder)
            groups["Flower"] = [(await stack.enter_async_context(other)).pid]
        await asyncio.sleep(min(_SETTLE, options.seconds))
        for round_number in range(options.rounds):
            session.say(f"round {round_number + 1} of {options.rounds}")
            rounds.append(await _idle(groups, options.seconds))
            _report(measurements, rounds)


async def _idle(groups: Mapping[str, list[int]], seconds: float) -> dict[str, Usage]:
    """Percent of a core meanwhile, and memory at the end, of each group."""
    clock = asyncio.get_running_loop().time
    before, began = by_group(groups), clock()
    await asyncio.sleep(seconds)
    after, took = by_group(groups), clock() - began
    return {name: Usage(100 * (after[name].cpu - before[name].cpu) / took, after[name].memory) for name in before}


def _report(measurements: Measurements, rounds: list[dict[str, Usage]]) -> None:
    agents = [Usage(one[_WORKER].cpu - one[_PLAIN].cpu, one[_WORKER].memory - one[_PLAIN].memory) for one in rounds]
    services = [sum((one[name] for name in SERVICES), agent) for one, agent in zip(rounds, agents, strict=True)]
    hosts = [one["controller"] + agent for one, agent in zip(rounds, agents, strict=True)]
    stores = [one["PostgreSQL"] + one["Redis"] for one in rounds]
    flowers = [one["Flower"] for one in rounds if "Flower" in one]
    last = rounds[-1]
    notes = {
        "cpu": [f"{name} {number(last[name].cpu)}" for name in SERVICES],
        "memory": [f"{name} {number(last[name].memory)}" for name in SERVICES],
    }
    for what, usages, compared in (("", services, flowers), ("host_", hosts, []), ("stores_", stores, [])):
        for kind in ("cpu", "memory"):
            note = ", ".join(notes[kind]) if not what else ""
            ours, theirs = ([getattr(one, kind) for one in side] for side in (usages, compared))
            measurements.put(f"{what}{kind}", ours, theirs, note)
    measurements.put("worker_cpu", [one.get(_PLAIN, NONE).cpu for one in rounds])


PART = Part(
    name="idle",
    what="Cost of idleness",
    method=_METHOD,
    rows=ROWS,
    measure=measure,
    deadline=180.0,
)
