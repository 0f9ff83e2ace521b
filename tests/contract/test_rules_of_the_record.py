"""Rules 2, 4 and 5 of the design, as far as the record is concerned."""

import ast
import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest
from hypothesis import given

import signalbox_reconciler.migrations
from signalbox.bus import names
from signalbox.bus.publisher import publish_command
from signalbox.messages import periods
from signalbox.messages.commands import CancelTask
from signalbox.messages.events import AnyTaskEvent, CommandDone, HostLeft, HostSeen
from signalbox.postgres.migrate import read_migrations
from signalbox_reconciler.fold import fold
from signalbox_reconciler.partitions.leaves import TABLES, leaf
from support.eventually import eventually
from support.history import HOST, Life, after, lives
from support.reconciler import KEY, Json, Recording, a_recording
from support.record import COUNTS
from support.stores.server import Redis

ROOT = Path(__file__).parents[2]
RUN = Life().run(2)


@pytest.fixture
async def recording(valkey: Redis, database_url: str, tmp_path: Path) -> AsyncIterator[Recording]:
    async with a_recording(valkey, database_url, tmp_path) as recording:
        yield recording


#: Tables of what is heard all the time, whatever happens, and the chain of the trail, which follows its lines.
HEARD = {"reconcilers", "waiting_rounds", "waiting_answers", "trail_chain", "trail_ends"}


def tables_of_the_record() -> set[str]:
    sql = "".join(migration.sql for migration in read_migrations(signalbox_reconciler.migrations.__name__))
    tables = set(re.findall(r"CREATE TABLE (\w+)", sql))
    return tables | {leaf(table, periods.OPEN) for table in TABLES}


def texts_of(file: Path) -> Iterator[str]:
    """The texts in a Python source, with a gap for what is put into them; other files as they are."""
    source = file.read_text(encoding="utf-8")
    if file.suffix != ".py":
        yield source
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def writers(tables: set[str]) -> set[Path]:
    """The files that have SQL which writes one of the tables, or one that is named elsewhere."""
    target = rf"(?:ONLY\s+)?\"?(?:(?:public|signalbox)\"?\.\"?)?(?:{'|'.join(tables)}|\{{\}})(?!\w)"
    verbs = r"INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE(?:\s+TABLE)?|ALTER\s+TABLE|COPY"
    write = re.compile(rf"\b(?:{verbs})\s+{target}", re.IGNORECASE)
    files = [
        file
        for folder in ("shared", "services", "deploy", "examples")
        for pattern in ("*.py", "*.sql")
        for file in (ROOT / folder).rglob(pattern)
        if not {"node_modules", "vendor"} & set(file.parts)
    ]
    return {file for file in files if any(write.search(text) for text in texts_of(file))}


def test_rule_2_only_the_reconciler_has_sql_that_writes_status() -> None:
    found = writers(tables_of_the_record())
    ours = ROOT / "services" / "reconciler"
    assert {file.name for file in found if file.is_relative_to(ours)} >= {"tasks.py", "runs.py", "hosts.py"}
    assert not {str(file.relative_to(ROOT)) for file in found if not file.is_relative_to(ours)}


def test_rule_2_nobody_else_imports_what_writes_status() -> None:
    for file in (ROOT / "services").rglob("*.py"):
        if "reconciler" not in file.relative_to(ROOT / "services").parts[0]:
            assert "signalbox_reconciler" not in file.read_text(encoding="utf-8"), file


@given(lives())
def test_rule_4_without_the_word_of_somebody_who_saw_the_end_there_is_no_end(events: list[AnyTaskEvent]) -> None:
    ends = {"TaskSucceeded", "TaskRan", "TaskFailed", "TaskDropped", "TaskCancelled"}
    open_ended = [event for event in events if type(event).__name__ not in ends]
    for row in fold(open_ended).tasks.values():
        assert row.status in {"pending", "running"}


async def test_rule_4_neither_a_cancel_nor_a_signal_nor_a_silence_ends_a_task(recording: Recording) -> None:
    await recording.start()
    cancel = CancelTask(command_id="c1", issued_by="x", issued_at=after(3), expires_at=after(10**9), task_id="t1")
    await recording.tell(HostSeen(at=after(1), host=HOST), RUN.started(), RUN.signalled(4))
    await publish_command(recording.redis, KEY, cancel)
    await recording.tell(CommandDone(at=after(9), host=HOST, command_id="c1", verdict="alive", task_id="t1"))
    await recording.command("alive")
    await recording.tell(HostLeft(at=after(10), host=HOST))
    await recording.shows("SELECT * FROM hosts WHERE state = 'offline'")
    task = await recording.task("running")
    assert (task["outcome"], task["finished_at"], task["confirmed"]) == (None, None, False)


async def test_rule_4_what_was_only_inferred_is_marked(recording: Recording) -> None:
    await recording.start()
    await recording.tell(RUN.started(), HostSeen(at=after(10), host=HOST))
    await recording.shows("SELECT * FROM task_logs WHERE missing_since IS NOT NULL")
    await recording.tell(HostSeen(at=after(16), host=HOST))
    assert (await recording.task("failed"))["confirmed"] is False
    await recording.tell(RUN.succeeded(5))
    assert (await recording.task("completed"))["confirmed"] is True


async def test_rule_5_nothing_is_acknowledged_before_it_is_durable(recording: Recording, database_url: str) -> None:
    await recording.start()
    connection = await asyncpg.connect(database_url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
        await recording.tell(RUN.started())
        await eventually(lambda: waits_for_the_lock(recording), "the reconciler waits for the table")
        [group] = await recording.redis.xinfo_groups(names.EVENTS)
        assert group["pending"] == 1
        await transaction.rollback()
    finally:
        await connection.close()
    await recording.task("running")
    await recording.nothing_pending()


async def waits_for_the_lock(recording: Recording) -> list[Json]:
    return await recording.rows(
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'signalbox-reconciler' AND wait_event_type = 'Lock'"
    )


async def test_rule_5_events_that_come_again_late_and_backwards_change_nothing(recording: Recording) -> None:
    await recording.start()
    second = Life().run(12, retries=1, pid=101)
    done = CommandDone(at=after(15), host=HOST, command_id="c1", verdict="cancelled", task_id="t1")
    first = [Life().received(1), RUN.started(), RUN.retried(3), Life().received(9, retries=1), second.started()]
    events = [*first, second.signalled(13), second.cancelled(14), done, HostSeen(at=after(16), host=HOST)]
    await recording.tell(*events)
    await recording.nothing_pending()
    before = await everything(recording)
    for event in reversed(events):
        await recording.tell(event)
    await recording.tell(*events)
    await recording.nothing_pending()
    assert await everything(recording) == before


#: Counts of tasks: the same number may stand in either of them.
FOLDED = {"task_counts", "task_count_deltas"}


async def everything(recording: Recording) -> dict[str, list[Json]]:
    """All rows, without what only says that we heard of them."""
    found = {}
    for table in tables_of_the_record() - HEARD - FOLDED:
        rows = await recording.rows(f"SELECT r.* FROM {table} AS r ORDER BY r")  # noqa: S608 - our own names
        found[table] = [
            {name: value for name, value in row.items() if name not in {"heard_at", "seen_at"}} for row in rows
        ]
    found["the counts"] = await recording.rows(COUNTS)
    return found


async def test_rule_5_two_reconcilers_that_get_everything_twice_agree(recording: Recording) -> None:
    await asyncio.gather(recording.start(SIGNALBOX_HOSTNAME="one"), recording.start(SIGNALBOX_HOSTNAME="two"))
    runs = [Life(f"t{number}").run(2) for number in range(50)]
    for _ in range(2):
        await asyncio.gather(*(recording.tell(run.started(), run.cancelled(4)) for run in runs))
        await asyncio.gather(*(recording.tell(run.started()) for run in runs))
    await recording.nothing_pending()
    query = "SELECT count(*) AS n FROM tasks JOIN task_logs USING (task_id, run, outcome) WHERE outcome = 'cancelled'"
    assert await recording.rows(query) == [{"n": 50}]
