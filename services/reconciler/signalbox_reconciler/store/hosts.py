"""The tables `hosts` and `processes`."""

from collections.abc import Collection

from signalbox.postgres.pool import Connection, Row
from signalbox_reconciler.fold.rows import HostRow, ProcessRow, SnapshotRow
from signalbox_reconciler.store import shown
from signalbox_reconciler.store.columns import arrays, assignments, names, unnest

_HOSTS = {"name": "text", "online": "boolean", "at": "timestamptz"}

#: What people see of a host is its state: that it was seen again is no change.
_UPSERT_HOSTS = f"""
WITH new AS (
    SELECT name, CASE WHEN online THEN 'online' ELSE 'offline' END AS state, at
    FROM {unnest(_HOSTS)} AS new ({names(_HOSTS)})
), old AS (
    SELECT name, state FROM hosts WHERE name IN (SELECT name FROM new)
), done AS (
    INSERT INTO hosts AS h (name, state, seen_at, at) SELECT name, state, at, at FROM new
    ON CONFLICT (name) DO UPDATE SET
        state = CASE WHEN EXCLUDED.at > h.at THEN EXCLUDED.state ELSE h.state END,
        seen_at = GREATEST(EXCLUDED.at, h.at),
        at = GREATEST(EXCLUDED.at, h.at),
        heard_at = now()
    RETURNING {shown.columns("host")}
)
SELECT done.* FROM done LEFT JOIN old USING (name) WHERE old.state IS DISTINCT FROM done.state
"""  # noqa: S608 - names of our own columns

_PROCESSES = {
    "host": "text",
    "name": "text",
    "kind": "text",
    "state": "text",
    "desired": "text",
    "instance": "text",
    "pid": "integer",
    "node": "text",
    "since": "timestamptz",
    "exit_code": "integer",
    "message": "text",
    "kill_at": "timestamptz",
    "standby": "boolean",
    "guest": "boolean",
    "at": "timestamptz",
}
_PROCESS_VALUES = [name for name in _PROCESSES if name not in {"host", "name"}]
_VISIBLE = [name for name in _PROCESS_VALUES if name not in {"instance", "at"}]

_UPSERT_PROCESSES = f"""
WITH new AS (
    SELECT * FROM {unnest(_PROCESSES)} AS new ({names(_PROCESSES)})
), old AS (
    SELECT p.* FROM processes AS p JOIN new USING (host, name)
), done AS (
    INSERT INTO processes AS p ({names(_PROCESSES)}) SELECT {names(_PROCESSES)} FROM new
    ON CONFLICT (host, name) DO UPDATE SET {assignments(_PROCESS_VALUES, "EXCLUDED.{}")}
    WHERE EXCLUDED.at > p.at
    RETURNING {shown.columns("process")}
)
SELECT done.* FROM done LEFT JOIN old USING (host, name)
WHERE ({names(_VISIBLE, "done.")}) IS DISTINCT FROM ({names(_VISIBLE, "old.")})
"""  # noqa: S608

#: A process that nobody can see is not known to be in any state, unless it had ended.
_HIDE_PROCESSES = f"""
UPDATE processes SET state = 'unknown', kill_at = NULL, message = $2
WHERE host = ANY($1::text[]) AND state NOT IN ('stopped', 'fatal', 'unknown')
RETURNING {shown.columns("process")}
"""  # noqa: S608

#: What a host no longer lists was taken out of its configuration.
_RETIRE_PROCESSES = f"""
UPDATE processes SET
    state = 'stopped', desired = 'stopped', pid = NULL, kill_at = NULL, standby = false, message = $4, at = $3
WHERE host = $1 AND name <> ALL($2::text[]) AND at < $3 AND state <> 'stopped'
RETURNING {shown.columns("process")}
"""  # noqa: S608

#: Nobody will start it again under the same name on purpose; names like celery-4711 would fill the page.
_FORGET_GUESTS = """
DELETE FROM processes WHERE guest AND state = 'stopped' AND at < now() - make_interval(secs => $1)
"""

_DOUBT_TASKS = f"""
UPDATE tasks AS t SET confirmed = false, updated_at = now()
FROM task_logs AS l
WHERE l.host = ANY($1::text[]) AND l.status = 'running'
    AND t.task_id = l.task_id AND t.run = l.run AND t.status = 'running' AND t.confirmed
RETURNING {shown.columns("task", "t.")}
"""  # noqa: S608

_DOUBT_LOGS = """
UPDATE task_logs SET confirmed = false WHERE host = ANY($1::text[]) AND status = 'running' AND confirmed
"""

#: By our clock: the hosts' own may be wrong.
_SILENCE = f"""
UPDATE hosts SET state = 'unknown'
WHERE state = 'online' AND heard_at < now() - make_interval(secs => $1)
RETURNING {shown.columns("host")}
"""  # noqa: S608

#: What was told of it late, after it was heard that nothing is known of its host any more.
_SURE = """
SELECT name, state FROM hosts AS h WHERE state <> 'online' AND (
    EXISTS (SELECT FROM processes WHERE host = h.name AND state NOT IN ('stopped', 'fatal', 'unknown'))
    OR EXISTS (SELECT FROM task_logs WHERE host = h.name AND status = 'running' AND confirmed)
)
"""

_SELECT_HOSTS = f"SELECT {shown.columns('host')} FROM hosts WHERE name = ANY($1::text[])"  # noqa: S608
_SELECT_PROCESSES = f"SELECT {shown.columns('process')} FROM processes WHERE host = ANY($1::text[])"  # noqa: S608

LEFT = "Its controller has left; it may run on"
SILENT = "Nothing is heard from its host"
RETIRED = "It is no longer in the configuration of its host"


async def upsert_hosts(connection: Connection, rows: Collection[HostRow]) -> list[Row]:
    """Merge rows of distinct hosts; answer what changed to the eye."""
    ordered = sorted(rows, key=lambda row: row.name)
    return await connection.fetch(_UPSERT_HOSTS, *arrays(_HOSTS, ordered))


async def upsert_processes(connection: Connection, rows: Collection[ProcessRow]) -> list[Row]:
    """Merge rows of distinct processes; answer what changed to the eye."""
    ordered = sorted(rows, key=lambda row: (row.host, row.name))
    return await connection.fetch(_UPSERT_PROCESSES, *arrays(_PROCESSES, ordered))


async def hide(connection: Connection, hosts: Collection[str], why: str, seen: shown.Shown) -> None:
    """Say of all that runs on these hosts that it is not known, and of their running tasks that it is not certain."""
    seen.add("process", await connection.fetch(_HIDE_PROCESSES, list(hosts), why))
    seen.add("task", await connection.fetch(_DOUBT_TASKS, list(hosts)))
    await connection.execute(_DOUBT_LOGS, list(hosts))


async def silence_hosts(connection: Connection, after: float, seen: shown.Shown) -> None:
    """Show hosts of which nothing was heard for `after` seconds as unknown, and all that may run unseen."""
    seen.add("host", await connection.fetch(_SILENCE, after))
    rows = await connection.fetch(_SURE)
    for state, why in (("unknown", SILENT), ("offline", LEFT)):
        if hosts := [row["name"] for row in rows if row["state"] == state]:
            await hide(connection, hosts, why, seen)


async def retire(connection: Connection, snapshot: SnapshotRow) -> list[Row]:
    """Show the processes that a host no longer has as stopped; answer what changed."""
    return await connection.fetch(_RETIRE_PROCESSES, snapshot.host, list(snapshot.processes), snapshot.at, RETIRED)


async def forget_guests(connection: Connection, after: float) -> None:
    """Leave out what others launched and that ended more than `after` seconds ago."""
    await connection.execute(_FORGET_GUESTS, after)


async def select_hosts(connection: Connection, hosts: Collection[str], seen: shown.Shown) -> None:
    """The hosts and their processes as they are."""
    seen.add("host", await connection.fetch(_SELECT_HOSTS, list(hosts)))
    seen.add("process", await connection.fetch(_SELECT_PROCESSES, list(hosts)))
