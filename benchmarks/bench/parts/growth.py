"""Part `growth`: what ten times as many rows, hosts, viewers and tasks in flight make of a figure."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from bench.errors import BenchmarkError
from bench.figures import percentile
from bench.parts.lists import QUESTIONS, Api, timed
from bench.rows import Measurements, Row, Target
from bench.session import Part, Session
from bench.systems.broker import Tasks, tasks_of
from bench.systems.loads import module
from bench.systems.record import an_api, fill, stores
from bench.systems.signalbox import Signalbox, signalbox
from bench.systems.usage import by_group, cpu_between
from bench.systems.viewing import view
from bench.systems.waiting import reach
from bench.table import number

#: How many times as many.
TIMES = 10
#: Lists that are asked, by the key of their row.
_ASKED = {"rows_newest": "newest", "rows_host": "a rare host", "rows_search": "search: an error"}
#: Rows of the larger record, at most: it is made for this alone.
_MOST_ROWS = 1_000_000
#: Seconds in which many hosts become known before their cost is taken.
_SETTLE = 3.0
ROWS = (
    *(Row(key, f"{TIMES} × rows: {what}, p50", "×") for key, what in _ASKED.items()),
    Row("hosts_few", "idle hosts, a tenth: CPU of the reconciler, of a core", "%"),
    Row("hosts_many", "idle hosts, all: CPU of the reconciler, of a core", "%", Target(5.0)),
    Row("hosts_cancel", "idle hosts, all: answer to a cancel, p50, divided by that with one host", "×", Target(1.5)),
    Row("viewers", f"{TIMES} × viewers: from the commit to each browser, p99", "×"),
    Row("flight", f"{TIMES} × tasks in flight: answer to a cancel, p50", "×"),
)
_METHOD = f"""\
Each figure is taken twice in one run, the second time with {TIMES} times as much, and divided; the remarks have both.
Rows: lists over HTTP, of one record and then another. Hosts: a process publishes the heartbeats of so many idle
controllers with a worker each, and answers each cancel for all of them that they have no such task, spread as among so
many controllers. Viewers: as above.
In flight: tasks that wait in the worker behind the one that is cancelled."""


async def measure(session: Session, measurements: Measurements) -> None:
    """One growth after the other."""
    options = session.options
    await _rows(session, measurements)
    async with (
        signalbox(session.folder / "system", multiplier=options.flight + 1) as system,
        tasks_of(system.valkey, "signalbox") as [tasks],
    ):
        await _flight(session, measurements, system, tasks)
        await _viewers(session, measurements, system)
        await _hosts(session, measurements, system, tasks)


def _put_growth(measurements: Measurements, key: str, figures: Sequence[float], sizes: tuple[int, int]) -> None:
    """Note how many times as large a figure in milliseconds became; both sizes have one."""
    before, after = figures
    told = f"{number(before)} ms with {sizes[0]:,}, {number(after)} ms with {sizes[1]:,}"
    measurements.put(key, [after / before], note=told)


async def _rows(session: Session, measurements: Measurements) -> None:
    most = min(session.options.rows, _MOST_ROWS)
    sizes = max(1, most // TIMES), most
    found = [await _medians(session, session.folder / f"record-{place}", rows) for place, rows in enumerate(sizes)]
    for key in _ASKED:
        _put_growth(measurements, key, [one[key] for one in found], sizes)


async def _medians(session: Session, folder: Path, rows: int) -> Mapping[str, float]:
    """Milliseconds of each list that is asked of a record with so many rows."""
    async with AsyncExitStack() as stack:
        found = await stack.enter_async_context(stores(folder))
        await fill(found.postgres, rows, session.say)
        client, _ = await stack.enter_async_context(an_api(found))
        api, medians = Api(client, rows), {}
        for key, what in _ASKED.items():
            figures, _ = await timed(partial(QUESTIONS[what], api), range(session.options.asks))
            medians[key] = percentile(figures, 50)
        return medians


async def _flight(session: Session, measurements: Measurements, system: Signalbox, tasks: Tasks) -> None:
    sizes = max(1, session.options.flight // TIMES), session.options.flight
    medians, sent = [], 0
    for size in sizes:
        session.say(f"{size:,} tasks in flight")
        await tasks.send(*["hang"] * (size - sent))
        sent = size
        await _until_pending(system, size - 1)
        medians.append(await _cancels(system, tasks, session.options.cancels))
    _put_growth(measurements, "flight", medians, sizes)


async def _until_pending(system: Signalbox, count: int) -> None:
    async def look() -> bool:
        asked = {"filter": {"status": "pending"}, "dry_run": True}
        answer = await system.api.post("/scheduler/cancel-tasks/", json=asked)
        return bool(answer.raise_for_status().json()["pending"] >= count)

    await reach(f"{count} tasks wait", look, pause=0.1)


async def _cancels(system: Signalbox, tasks: Tasks, count: int) -> float:
    """Milliseconds to the answer, at the median; as many tasks are in flight afterwards."""
    answers = []
    for _ in range(count):
        await tasks.send("hang")
        task = await tasks.running()
        await system.shows_running(task.task_id)
        began = time.perf_counter()
        await system.cancel(task.task_id)
        answers.append((time.perf_counter() - began) * 1000)
    return percentile(answers, 50)


async def _viewers(session: Session, measurements: Measurements, system: Signalbox) -> None:
    options = session.options
    sizes = max(1, options.viewers // TIMES), options.viewers
    found = []
    for size in sizes:
        session.say(f"{size:,} viewers")
        found.append((await view(system, size, options.changes, options.seconds)).p99)
    _put_growth(measurements, "viewers", found, sizes)


async def _hosts(session: Session, measurements: Measurements, system: Signalbox, tasks: Tasks) -> None:
    options = session.options
    sizes = {"hosts_few": max(1, options.hosts // TIMES), "hosts_many": options.hosts}
    alone = await _cancels(system, tasks, options.cancels)
    for key, hosts in sizes.items():
        session.say(f"{hosts:,} hosts")
        seconds = _SETTLE + options.seconds
        async with module("hosts", hosts, 3600.0, SIGNALBOX_REDIS_URL=system.valkey.url):
            await asyncio.sleep(_SETTLE)
            groups = {"reconciler": system.groups()["reconciler"]}
            before = by_group(groups)
            await asyncio.sleep(options.seconds)
            used = cpu_between(before, by_group(groups))["reconciler"]
            measurements.put(key, [100 * used / options.seconds], note=f"{hosts:,} hosts")
            known = len((await system.api.get("/scheduler/celery-status/")).raise_for_status().json()["hosts"])
            if known < hosts:
                raise BenchmarkError(f"of {hosts:,} hosts {known:,} are known after {seconds:g} s")
            if key == "hosts_many":
                among = await _cancels(system, tasks, options.cancels)
                _put_growth(measurements, "hosts_cancel", [alone, among], (1, hosts))


PART = Part(
    name="growth",
    what="Ten times as much",
    method=_METHOD,
    rows=ROWS,
    measure=measure,
    deadline=300.0,
    needs_flower=False,
)
