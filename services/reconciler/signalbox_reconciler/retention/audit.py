"""Retention of the audit trail: row by row, as people and services give few commands."""

from datetime import timedelta

from signalbox.postgres.pool import Connection

#: Open ones stay, however old; of cancels the tasks are forgotten earlier, see `store.verdicts.forget_cancels`.
_DELETE = """
WITH old AS (
    DELETE FROM commands WHERE command_id IN (
        SELECT command_id FROM commands WHERE issued_at < now() - $1::interval AND state <> 'issued'
        ORDER BY issued_at LIMIT 1000 FOR UPDATE SKIP LOCKED
    )
    RETURNING command_id
), answers AS (
    DELETE FROM command_answers AS a USING old WHERE a.command_id = old.command_id
)
SELECT count(*) FROM old
"""


async def delete_commands(connection: Connection, kept: timedelta) -> int:
    """Delete some of the commands that were issued longer ago, with the answers of hosts; return how many."""
    return int(await connection.fetchval(_DELETE, kept))
