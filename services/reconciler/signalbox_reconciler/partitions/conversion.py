"""Conversion of a record that was there before there were partitions; in steps, each of which may be interrupted.

Its tables become one partition each, as they are, and are dropped as a whole when all in them is old enough. What is
needed for that is checked beside who reads; the change itself takes milliseconds, and copies no row. Then the open
tasks go to the partition of open tasks. Nobody may write meanwhile: reconcilers of a release before would write where
nothing is any more, and are waited for.
"""

import asyncio
import logging

from signalbox.errors import DatabaseUnavailable
from signalbox.messages.periods import BEFORE, OPEN
from signalbox.postgres.migrate import migrating
from signalbox.postgres.pool import Connection, Database
from signalbox.service import Backoff
from signalbox_reconciler.partitions.leaves import TABLES, leaf, make_leaves
from signalbox_reconciler.partitions.locks import lock_tables
from signalbox_reconciler.partitions.periods import add_period

log = logging.getLogger(__name__)

#: Seconds for reading a table once.
_SCAN_TIMEOUT = 6 * 3600.0
#: Seconds without a heartbeat after which a reconciler counts as ended.
_SILENCE = 5.0
#: Seconds of the first and the longest pause between two attempts.
_PAUSE = (0.1, 5.0)

_IS_CONVERTED = "SELECT relkind = 'p' FROM pg_class WHERE oid = 'tasks'::regclass"
_ALONE = "SELECT pg_advisory_xact_lock(hashtext('signalbox conversion'))"
_WRITERS = "SELECT member FROM reconcilers WHERE seen_at > now() - make_interval(secs => $1) ORDER BY member"
_UNCHECKED = """
SELECT format('ALTER TABLE %s VALIDATE CONSTRAINT %I', conrelid::regclass, conname) AS statement
FROM pg_constraint WHERE NOT convalidated AND conrelid IN ('tasks'::regclass, 'task_logs'::regclass) ORDER BY conname
"""
_LAST_LOG_ID = "SELECT last_value FROM task_logs_log_id_seq"
_LOG_IDS = """
ALTER TABLE task_logs ALTER COLUMN log_id DROP IDENTITY;
CREATE SEQUENCE task_log_ids START WITH {}
"""
_NEW_LOG_ID = "ALTER TABLE task_logs ALTER COLUMN log_id SET DEFAULT nextval('task_log_ids')"

#: Their own, as a statement that writes the one does not count as one that writes the other.
_COUNTED = """
CREATE TRIGGER tasks_counted_inserted AFTER INSERT ON {0}
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_changed_tasks('1');
CREATE TRIGGER tasks_counted_deleted AFTER DELETE ON {0}
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_changed_tasks('-1');
CREATE TRIGGER tasks_counted_updated AFTER UPDATE ON {0}
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION count_updated_tasks();
"""
_COUNTED_NO_MORE = """
DROP TRIGGER tasks_counted_inserted ON {0};
DROP TRIGGER tasks_counted_deleted ON {0};
DROP TRIGGER tasks_counted_updated ON {0};
DROP INDEX tasks_waiting;
"""
_GRANTS = """
SELECT format('GRANT %s ON %s TO %s', privilege_type, $2::text, CASE grantee WHEN 0 THEN 'PUBLIC'
    ELSE grantee::regrole::text END) AS statement
FROM pg_class AS c CROSS JOIN aclexplode(c.relacl) WHERE c.oid = to_regclass($1) AND grantee <> c.relowner
"""

#: Some at a time: others read, and a transaction must end. One that is locked is on its way to the open ones already.
_MOVE_OPEN = f"""
WITH due AS (
    SELECT task_id FROM tasks WHERE period = {BEFORE} AND finished_at IS NULL LIMIT 2000 FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE tasks AS t SET period = {OPEN} FROM due WHERE t.period = {BEFORE} AND t.task_id = due.task_id
    RETURNING t.task_id
), logs AS (
    UPDATE task_logs AS l SET period = {OPEN} FROM moved AS m WHERE l.period = {BEFORE} AND l.task_id = m.task_id
)
SELECT count(*) FROM moved
"""  # noqa: S608 - our own numbers


async def convert_when_alone(database: Database) -> None:
    """Make partitions of the tables as soon as PostgreSQL can be used and no reconciler of a release before writes.

    Raises:
        MigrationError: they cannot be made.
    """
    backoff = Backoff(*_PAUSE)
    while True:
        try:
            return await convert(database)
        except DatabaseUnavailable as error:
            log.warning("the record gets its partitions later: %s", error)
        await backoff.pause()


async def convert(database: Database) -> None:
    """Make partitions of the tables, from where an earlier attempt was interrupted.

    Raises:
        MigrationError: they cannot be made.
        DatabaseUnavailable: try again.
    """
    if not await _is_converted(database):
        await check_rows(database)
        await _until_nobody_writes(database)
        await make_partitions(database)
    await move_open(database)


async def _is_converted(database: Database) -> bool:
    async with database.connection() as connection:
        return bool(await connection.fetchval(_IS_CONVERTED))


async def check_rows(database: Database) -> None:
    """Prove that all rows are of one period, and that all constraints hold, so that nothing is read later."""
    while await _check_one(database):
        pass


async def _check_one(database: Database) -> bool:
    """Prove one constraint that is not proven yet, beside who reads and writes; whether there was one."""
    async with database.transaction() as connection:
        await connection.execute(_ALONE)
        if (statement := await connection.fetchval(_UNCHECKED)) is None:
            return False
        with migrating("a constraint of the record does not hold"):
            await connection.execute(statement, timeout=_SCAN_TIMEOUT)
    return True


async def make_partitions(database: Database) -> None:
    """Make the tables partitions of new ones, all or nothing; what has them already is left alone."""
    async with database.transaction() as connection:
        await connection.execute(_ALONE)
        if not await connection.fetchval(_IS_CONVERTED):
            with migrating("the tables of tasks cannot be made into partitions"):
                await _partition(connection)


async def move_open(database: Database) -> None:
    """Move open tasks to their partition, some in each transaction."""
    while moved := await _move_some(database):
        log.info("%d open tasks are in their partition", moved)


async def _move_some(database: Database) -> int:
    async with database.transaction() as connection:
        await connection.execute(_ALONE)
        return int(await connection.fetchval(_MOVE_OPEN))


async def _until_nobody_writes(database: Database) -> None:
    """Return when no reconciler of the release before writes; one that writes into partitions is of this release."""
    told: list[str] = []
    while (members := await _writers(database)) and not await _is_converted(database):
        if members != told:
            log.warning("waiting until the reconcilers of the release before are stopped: %s", ", ".join(members))
        told = members
        await asyncio.sleep(1.0)


async def _writers(database: Database) -> list[str]:
    async with database.connection() as connection:
        return [row["member"] for row in await connection.fetch(_WRITERS, _SILENCE)]


async def _partition(connection: Connection) -> None:
    await lock_tables(connection)
    is_empty = not await connection.fetchval("SELECT count(*) FROM (SELECT FROM tasks LIMIT 1) AS one")
    last = await connection.fetchval(_LAST_LOG_ID)
    await connection.execute(_LOG_IDS.format(last + 1))
    await connection.execute(_COUNTED_NO_MORE.format("tasks"))
    for table in TABLES:
        await _rename(connection, table)
    await connection.execute(_NEW_LOG_ID)
    await make_leaves(connection, OPEN)
    for table in ("tasks", leaf("tasks", OPEN)):
        await connection.execute(_COUNTED.format(table))
    for table in TABLES:
        await _grant(connection, table)
        if is_empty:
            await connection.execute(f"DROP TABLE {leaf(table, BEFORE)}")
    if not is_empty:
        await connection.execute("INSERT INTO periods (period) VALUES ($1)", BEFORE)
    for status in ("completed", "failed"):
        await add_period(connection, status)
    log.info("tasks and their logs are in partitions now")


async def _rename(connection: Connection, table: str) -> None:
    before = leaf(table, BEFORE)
    await connection.execute(
        f"ALTER TABLE {table} RENAME TO {before};"
        f" CREATE TABLE {table} (LIKE {before} INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS)"
        " PARTITION BY LIST (period);"
        f" ALTER TABLE {table} DROP CONSTRAINT {table}_before_periods;"
        f" ALTER TABLE {table} ALTER COLUMN period SET DEFAULT {OPEN};"
        f" ALTER TABLE {table} ATTACH PARTITION {before} FOR VALUES IN ({BEFORE})"
    )


async def _grant(connection: Connection, table: str) -> None:
    """Let those use the new table who might use the old one."""
    for name in (table, leaf(table, OPEN)):
        for row in await connection.fetch(_GRANTS, leaf(table, BEFORE), name):
            await connection.execute(row["statement"])
