"""Leaves: the partitions themselves, one of each table for each period; their names, and how one is made.

A leaf is attached, not created in place: that takes no lock which holds up who reads or writes.
"""

from collections.abc import Iterator

from signalbox.messages.periods import BEFORE, OPEN
from signalbox.postgres.pool import Connection
from signalbox_reconciler.partitions.indexes import make_indexes

#: The tables that have partitions, with their keys. Who writes locks them in this order.
TABLES = {"tasks": "task_id", "task_logs": "task_id, run"}

#: Of a partition that is written often, and whose rows do not stay: room for HOT updates, and an early vacuum.
_HOT = (
    "fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,"
    " autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000, autovacuum_vacuum_cost_delay = 0"
)
#: Of one to which rows are added only: a vacuum each time that it has grown by a tenth.
_ADDED_TO = "fillfactor = 100, autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.05"


def leaf(table: str, period: int) -> str:
    """The name of the partition of a table."""
    if period == OPEN:
        return f"open_{table}"
    if period == BEFORE:
        return f"{table}_before"
    return f"completed_{table}_{period}" if period > BEFORE else f"failed_{table}_{-period}"


def leaves(period: int) -> Iterator[tuple[str, str]]:
    """The tables, each with the name of its partition."""
    return ((table, leaf(table, period)) for table in TABLES)


async def make_leaves(connection: Connection, period: int) -> None:
    """Make the partitions of a period, inside the caller's transaction."""
    for table, name in leaves(period):
        await connection.execute(
            f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS,"
            f" PRIMARY KEY ({TABLES[table]})) WITH ({_HOT if period == OPEN else _ADDED_TO})"
        )
        await make_indexes(connection, name)
        await connection.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES IN ({period})")
