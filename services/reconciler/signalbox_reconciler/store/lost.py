"""Lost runs: given up without an observed end; an observed end overrules that at any time."""

from collections.abc import Mapping
from datetime import datetime

from signalbox.postgres.pool import Connection
from signalbox_reconciler.store import views
from signalbox_reconciler.store.tasks import lock_tasks, show_liveliest

#: Runs by task id and run, with the assumed time of the end.
Runs = Mapping[tuple[str, str], datetime]

#: The error of a run that its host no longer lists, of one on a silent host, and of one on a host that was forgotten.
NOT_LISTED = "The host no longer runs it, and nobody saw how it ended"
HOST_SILENT = "Nothing is heard from its host any more, and nobody saw how it ended"
HOST_GONE = "Its host was forgotten, as one that left for good, and nobody saw how it ended"

KEYS = "unnest($1::text[], $2::text[], $3::timestamptz[]) AS k (task_id, run, at)"

_LOSE = f"""
UPDATE open_task_logs AS l SET phase = 4, confirmed = false, precedence = -(EXTRACT(EPOCH FROM k.at) * 1000000)::bigint,
    status = 'failed', outcome = 'worker_lost', error = $4, finished_at = k.at, cancel_kill_at = NULL
FROM {KEYS}
WHERE l.task_id = k.task_id AND l.run = k.run AND l.status = 'running'
RETURNING {views.columns("log", "l.")}
"""  # noqa: S608 - names of our own columns

#: Their assumed end is the last heartbeat of the host, by its own clock, so that its events after it is back are later.
_ON_SILENT_HOSTS = """
SELECT l.task_id, l.run, GREATEST(h.at, l.started_at, 'epoch') AS at, h.state = 'gone' AS gone
FROM hosts AS h JOIN open_task_logs AS l ON l.host = h.name AND l.status = 'running'
WHERE h.state = 'gone' OR (h.state <> 'online' AND h.heard_at < now() - make_interval(secs => $1))
LIMIT 1000
"""


async def mark_lost(connection: Connection, runs: Runs, error: str, changed: views.ChangedViews) -> None:
    """Show these runs, if still shown as running, as failed and not confirmed."""
    await lock_tasks(connection, {task_id for task_id, _ in runs}, changed)
    logs = await connection.fetch(_LOSE, *columns_of(runs), error)
    changed.add("log", logs)
    changed.add("task", await show_liveliest(connection, {row["task_id"] for row in logs}))


async def mark_lost_on_silent_hosts(connection: Connection, changed: views.ChangedViews, *, after: float) -> None:
    """Give up the runs on hosts without a heartbeat for `after` seconds, and on those that were forgotten."""
    rows = await connection.fetch(_ON_SILENT_HOSTS, after)
    for gone, error in ((False, HOST_SILENT), (True, HOST_GONE)):
        if runs := {(row["task_id"], row["run"]): row["at"] for row in rows if row["gone"] is gone}:
            await mark_lost(connection, runs, error, changed)


def columns_of(runs: Runs) -> list[tuple[object, ...]]:
    """Task ids, runs and times, for `KEYS`."""
    return list(zip(*((*key, at) for key, at in sorted(runs.items())), strict=True))
