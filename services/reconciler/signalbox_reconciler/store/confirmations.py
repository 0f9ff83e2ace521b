"""Confirmations: the table `host_confirmations`, the numbers of the events that the record has."""

from collections.abc import Collection, Sequence

from signalbox.bus.confirmations import Confirmation
from signalbox.postgres.pool import Connection, Row
from signalbox_reconciler.fold.confirmations import Arrived, Ranges, confirm

#: Seconds after its last heartbeat for which an epoch is kept; one that comes later begins anew, and tells all again.
KEPT_FOR = 7 * 86400

_FIRST = "(SELECT {bound}(r) FROM unnest(c.seen) AS r ORDER BY r LIMIT 1)"
_FIRST_RANGE = f"{_FIRST.format(bound='lower')} AS first, {_FIRST.format(bound='upper')} AS behind"

#: Adding up is commutative and idempotent: several reconcilers write, and entries are delivered twice.
_ADD = f"""
WITH new AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS new (epoch, host, seen, announced)
), old AS (
    SELECT epoch, announced FROM host_confirmations WHERE epoch = ANY($1::text[])
), done AS (
    INSERT INTO host_confirmations AS c (epoch, host, seen, announced)
    SELECT epoch, host, seen::int8multirange, announced FROM new ORDER BY epoch
    ON CONFLICT (epoch) DO UPDATE SET
        host = COALESCE(NULLIF(EXCLUDED.host, ''), c.host),
        seen = c.seen + EXCLUDED.seen,
        announced = GREATEST(c.announced, EXCLUDED.announced),
        updated_at = now()
    RETURNING epoch, {_FIRST_RANGE}
)
SELECT done.*, COALESCE(old.announced, 0) AS announced_before FROM done LEFT JOIN old USING (epoch)
"""  # noqa: S608 - names of our own columns

_SELECT = f"""
SELECT c.epoch, c.host, {_FIRST_RANGE}, c.announced AS announced_before FROM host_confirmations AS c
WHERE c.epoch = ANY($1::text[])
"""  # noqa: S608

_FORGET = "DELETE FROM host_confirmations WHERE updated_at < now() - make_interval(secs => $1)"


async def add_confirmations(connection: Connection, arrived: Sequence[Arrived]) -> list[Confirmation]:
    """Note what arrived, in the transaction that writes it; return what the record has of each epoch."""
    if not arrived:
        return []
    rows = await connection.fetch(
        _ADD,
        [one.epoch for one in arrived],
        [one.host for one in arrived],
        [_multirange(one.ranges) for one in arrived],
        [one.announced for one in arrived],
    )
    return [_confirmation(row) for row in rows]


async def hosts_with_missing_events(connection: Connection, epochs: Collection[str]) -> set[str]:
    """The hosts of these epochs of which events are missing that were announced: they will be told again."""
    rows = await connection.fetch(_SELECT, list(epochs))
    return {row["host"] for row in rows if _confirmation(row).missing_up_to}


async def forget_epochs(connection: Connection, after: float = KEPT_FOR) -> None:
    """Delete the epochs of controllers that ended long ago."""
    await connection.execute(_FORGET, after)


def _confirmation(row: Row) -> Confirmation:
    ranges = [] if row["first"] is None else [(row["first"], row["behind"])]
    return confirm(row["epoch"], ranges, row["announced_before"])


def _multirange(ranges: Ranges) -> str:
    return "{" + ",".join(f"[{first},{end})" for first, end in ranges) + "}"
