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
_CUT = "SELECT cut_trail($1, 1000)"


async def delete_commands(connection: Connection, kept: timedelta) -> int:
    """Delete some of the commands that were issued longer ago, with the answers of hosts; return how many."""
    return int(await connection.fetchval(_DELETE, kept))


async def cut_trail(connection: Connection, kept: timedelta) -> int:
    """Remove some of the oldest lines of the trail, older than that; return how many.

    The number and the hash of the last one are kept, so that what follows can be verified.
    """
    return int(await connection.fetchval(_CUT, kept))
