"""Heartbeats of the reconcilers: the table `reconcilers`."""

from signalbox.postgres.pool import Connection

#: Seconds for which a reconciler that has ended keeps its row.
KEPT = 86400.0

#: A reconciler that is behind claims no less than it did.
_WRITE = """
INSERT INTO reconcilers AS r (member, complete_at) VALUES ($1, now() - make_interval(secs => $2))
ON CONFLICT (member) DO UPDATE SET
    seen_at = now(), complete_at = GREATEST(r.complete_at, EXCLUDED.complete_at)
"""
_FORGET = "DELETE FROM reconcilers WHERE seen_at < now() - make_interval(secs => $1)"


async def write_heartbeat(connection: Connection, member: str, behind: float | None) -> None:
    """Write that `member` is alive, and that the record lacks no event older than `behind` seconds (None: unknown)."""
    await connection.execute(_WRITE, member, behind)


async def forget_heartbeats(connection: Connection) -> None:
    """Delete the rows of reconcilers that ended long ago."""
    await connection.execute(_FORGET, KEPT)
