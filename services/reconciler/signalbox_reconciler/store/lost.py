"""Runs that nobody saw end, and that are given up all the same; what somebody saw overrules it at any time."""

from collections.abc import Mapping
from datetime import datetime

from signalbox.postgres.pool import Connection
from signalbox_reconciler.store import shown

#: Runs by task id and run, and the time at which each is taken to have ended.
Runs = Mapping[tuple[str, str], datetime]

#: The error of a run that its host no longer lists, and of one whose host is not heard any more.
NOT_LISTED = "The host no longer runs it, and nobody saw how it ended"
NOT_HEARD = "Nothing is heard from its host any more, and nobody saw how it ended"

KEYS = "unnest($1::text[], $2::text[], $3::timestamptz[]) AS k (task_id, run, at)"

_LOSE = f"""
UPDATE {{table}} AS t SET phase = 4, confirmed = false, precedence = -(EXTRACT(EPOCH FROM k.at) * 1000000)::bigint,
    status = 'failed', outcome = 'worker_lost', error = $4, finished_at = k.at{{also}}
FROM {KEYS}
WHERE t.task_id = k.task_id AND t.run = k.run AND t.status = 'running'
RETURNING {{returning}}
"""  # noqa: S608 - names of our own columns
_LOSE_LOGS = _LOSE.format(table="task_logs", also="", returning=shown.columns("log", "t."))
_LOSE_TASKS = _LOSE.format(table="tasks", also=", cancel_kill_at = NULL", returning=shown.columns("task", "t."))

#: They ended at some time after the host was last heard; by its own clock, so that what it says when it is back is
#: later than that.
_UNHEARD = """
SELECT l.task_id, l.run, GREATEST(h.seen_at, l.started_at, 'epoch') AS at
FROM hosts AS h JOIN task_logs AS l ON l.host = h.name AND l.status = 'running'
WHERE h.state <> 'online' AND h.heard_at < now() - make_interval(secs => $1)
LIMIT 1000
"""


async def lose(connection: Connection, runs: Runs, error: str, seen: shown.Shown) -> None:
    """Show these runs, if they are still shown as running, as failed, and not confirmed."""
    columns = [*columns_of(runs), error]
    seen.add("task", await connection.fetch(_LOSE_TASKS, *columns))
    seen.add("log", await connection.fetch(_LOSE_LOGS, *columns))


async def lose_unheard(connection: Connection, after: float, seen: shown.Shown) -> None:
    """Give up what ran on hosts of which nothing was heard for `after` seconds."""
    rows = await connection.fetch(_UNHEARD, after)
    if rows:
        await lose(connection, {(row["task_id"], row["run"]): row["at"] for row in rows}, NOT_HEARD, seen)


def columns_of(runs: Runs) -> list[tuple[object, ...]]:
    """Task ids, runs and times, for `KEYS`."""
    return list(zip(*((*key, at) for key, at in sorted(runs.items())), strict=True))
