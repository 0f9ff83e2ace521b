"""The rule that says which run a task shows stands in Python and in SQL: both choose the same run."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from signalbox.postgres.pool import Connection, Database, open_database
from signalbox_reconciler.fold.liveliest import Run, liveliest
from signalbox_reconciler.fold.rows import LogRow, Phase, WaitRow
from signalbox_reconciler.fold.run_keys import parse
from signalbox_reconciler.store.tasks import show_liveliest
from support.examples import LONG, examples
from support.history import START

RETRIES = st.sampled_from([0, 1, 9999, 10_000])
TIMES = st.sampled_from([0, 1, 2, 9_999_999_999_999, 10_000_000_000_000])
TAILS = st.sampled_from(["a.1", "b.2", "a.w1", "a.w2.m1", "b.r1", "b.r2.m1", "c.r3.m2", "x", "a.b.c.d"])
KEYS = st.one_of(
    st.builds(lambda retries, time, tail: f"{retries:04d}.{time:013d}.{tail}", RETRIES, TIMES, TAILS),
    st.builds(lambda retries, time: f"{retries:04d}.{time}", RETRIES, TIMES),
    RETRIES.map("{:04d}".format),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
)


@st.composite
def runs(draw: DrawFn) -> list[Run]:
    """Some runs and waits of one task, in whatever state."""
    found: list[Run] = []
    for key in draw(st.lists(KEYS, min_size=1, max_size=5, unique=True)):
        phase = draw(st.sampled_from(Phase))
        heading: dict[str, Any] = {
            "task_id": "t1",
            "run": key,
            "phase": phase,
            "precedence": 0,
            "retries": 0,
            "host": None,
            "worker": None,
            "confirmed": draw(st.booleans()),
        }
        if phase == Phase.RECEIVED:
            found.append(WaitRow(**heading, status="pending"))
            continue
        ended = {
            "status": "failed",
            "outcome": draw(st.sampled_from(["error", "discarded"])),
            "finished_at": START + timedelta(seconds=draw(st.integers(0, 3))),
        }
        state = {"status": "running"} if phase == Phase.STARTED else ended
        found.append(LogRow(**heading, **state, delivery=draw(KEYS)))
    return found


@pytest.fixture
def database(database_url: str) -> Iterator[tuple[asyncio.Runner, Database]]:
    with asyncio.Runner() as runner:
        opened = open_database(database_url, connections=1)
        yield runner, runner.run(opened.__aenter__())
        runner.run(opened.__aexit__(None, None, None))


async def shown(database: Database, rows: Sequence[Run]) -> str:
    """The run that the record shows, of a task that showed nothing before."""
    async with database.transaction() as connection:
        await connection.execute("DELETE FROM tasks; DELETE FROM task_logs; DELETE FROM task_waits")
        await connection.execute(
            "INSERT INTO tasks (task_id, run, phase, confirmed, precedence, status, retries, details_key, name,"
            " celery_name, queue, args, kwargs, created_at, attempt)"
            " VALUES ('t1', '', 1, true, -1, 'pending', 0, '', '', '', '', '', '', now(), 1)"
        )
        for row in rows:
            await insert(connection, row)
        await show_liveliest(connection, ["t1"])
        return str(await connection.fetchval("SELECT run FROM tasks"))


async def insert(connection: Connection, row: Run) -> None:
    fields: dict[str, Any] = {"task_id": row.task_id, "run": row.run, "confirmed": row.confirmed}
    fields |= {"precedence": row.precedence, "retries": row.retries}
    if isinstance(row, LogRow):
        more = {name: getattr(row, name) for name in ("phase", "status", "outcome", "finished_at", "delivery")}
        fields |= {**more, "attempt": 1}
    table = "task_logs" if isinstance(row, LogRow) else "task_waits"
    places = ", ".join(f"${place}" for place in range(1, len(fields) + 1))
    await connection.execute(f"INSERT INTO {table} ({', '.join(fields)}) VALUES ({places})", *fields.values())  # noqa: S608 - ours


@pytest.mark.timeout(LONG)
def test_sql_and_python_show_the_same_run(database: tuple[asyncio.Runner, Database]) -> None:
    runner, opened = database

    @examples(150)
    @given(runs())
    def same(rows: list[Run]) -> None:
        assert runner.run(shown(opened, rows)) == liveliest(rows).run

    same()


@pytest.mark.timeout(LONG)
def test_sql_and_python_order_keys_alike(database: tuple[asyncio.Runner, Database]) -> None:
    runner, opened = database

    async def parts(key: str) -> tuple[list[int], str | None]:
        async with opened.connection() as connection:
            [row] = await connection.fetch("SELECT run_order($1) AS place, delivery_kind($1) AS kind", key)
            return [int(part) for part in row["place"]], row["kind"]

    @examples(150)
    @given(KEYS)
    def same(key: str) -> None:
        parsed = parse(key)
        kind = ("r" if parsed.redelivered else "w") if parsed.identified else None
        assert runner.run(parts(key)) == (list(parsed.order), kind)

    same()
