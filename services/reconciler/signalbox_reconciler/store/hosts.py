"""Hosts and their processes: the tables `hosts` and `processes`."""

from collections.abc import Collection

import msgspec

from signalbox.messages.events import HostSeen, ProcessChanged
from signalbox.postgres.pool import Connection, Row
from signalbox_reconciler.fold.rows import HostRow
from signalbox_reconciler.store import views
from signalbox_reconciler.store.columns import arrays, assignments, names, unnest
from signalbox_reconciler.store.tasks import lock_tasks, show_liveliest

_HOSTS = {
    "name": "text",
    "online": "boolean",
    "at": "timestamptz",
    "proof": "text",
    "proof_detail": "text",
    "clock_ahead": "float8",
}
_HOST_VALUES = ("state", "proof", "proof_detail", "clock_ahead")

#: Whether a fact may be replaced although it seems to be later: so far ahead is only what a host with a wrong clock
#: said before it was corrected, and it would hide all that is true until its time has come.
_UNTRUE_TIME = "{}.at > now() + interval '60 seconds'"

_LATER_HOST = f"CASE WHEN EXCLUDED.at > h.at OR {_UNTRUE_TIME.format('h')} THEN {{}} ELSE {{}} END"

#: Only the state of a host and its proof are visible: another heartbeat is no change.
_UPSERT_HOSTS = f"""
WITH new AS (
    SELECT name, CASE WHEN online THEN 'online' ELSE 'offline' END AS state, at, proof, proof_detail, clock_ahead
    FROM {unnest(_HOSTS)} AS new ({names(_HOSTS)})
), old AS (
    SELECT name, {names(_HOST_VALUES)} FROM hosts WHERE name IN (SELECT name FROM new)
), done AS (
    INSERT INTO hosts AS h (name, state, seen_at, at, proof, proof_detail, clock_ahead)
    SELECT name, state, now(), at, proof, proof_detail, clock_ahead FROM new
    ON CONFLICT (name) DO UPDATE SET
        {assignments(_HOST_VALUES, _LATER_HOST.format("EXCLUDED.{}", "h.{}"))},
        seen_at = now(),
        at = {_LATER_HOST.format("EXCLUDED.at", "h.at")},
        heard_at = now()
    WHERE h.state <> 'gone' OR EXCLUDED.state = 'online'
    RETURNING {views.columns("host")}
)
SELECT done.* FROM done LEFT JOIN old USING (name)
WHERE ({names(_HOST_VALUES, "old.")}) IS DISTINCT FROM ({names(_HOST_VALUES, "done.")})
"""  # noqa: S608 - names of our own columns

#: Of hosts that are online: of any other host the heartbeat says something new. All are locked in the order of names.
_MARK_HEARD = f"""
WITH new AS (
    SELECT * FROM unnest($1::text[], $2::timestamptz[]) AS new (name, at)
), locked AS (
    SELECT name FROM hosts WHERE name = ANY($3::text[]) ORDER BY name FOR NO KEY UPDATE
)
UPDATE hosts AS h SET seen_at = now(), heard_at = now(),
    at = CASE WHEN new.at > h.at OR {_UNTRUE_TIME.format("h")} THEN new.at ELSE h.at END
FROM new JOIN locked USING (name)
WHERE h.name = new.name AND h.state = 'online'
RETURNING h.name
"""  # noqa: S608

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
    "queues": "text",
    "configured": "boolean",
    "outdated": "text",
    "at": "timestamptz",
}
#: The columns, with the names of the queues as an array: `unnest` would unfold arrays of arrays wholly.
_UNFOLDED = names(_PROCESSES).replace("queues", "string_to_array(queues, E'\n') AS queues")
_PROCESS_VALUES = [name for name in _PROCESSES if name not in {"host", "name"}]
_VISIBLE = [name for name in _PROCESS_VALUES if name not in {"instance", "at"}]

_UPSERT_PROCESSES = f"""
WITH new AS (
    SELECT {_UNFOLDED} FROM {unnest(_PROCESSES)} AS new ({names(_PROCESSES)})
), old AS (
    SELECT p.* FROM processes AS p JOIN new USING (host, name)
), done AS (
    INSERT INTO processes AS p ({names(_PROCESSES)}) SELECT {names(_PROCESSES)} FROM new
    ON CONFLICT (host, name) DO UPDATE SET {assignments(_PROCESS_VALUES, "EXCLUDED.{}")}
    WHERE EXCLUDED.at > p.at OR {_UNTRUE_TIME.format("p")}
    RETURNING {views.columns("process")}
)
SELECT done.* FROM done LEFT JOIN old USING (host, name)
WHERE ({names(_VISIBLE, "done.")}) IS DISTINCT FROM ({names(_VISIBLE, "old.")})
"""  # noqa: S608

#: The state of a process that cannot be observed is unknown, unless it had ended.
_MARK_PROCESSES_UNKNOWN = f"""
UPDATE processes SET state = 'unknown', kill_at = NULL, message = $2
WHERE host = ANY($1::text[]) AND state NOT IN ('stopped', 'fatal', 'unknown')
RETURNING {views.columns("process")}
"""  # noqa: S608

#: A process that its host no longer lists has ended: an external worker is shown as stopped for a while, any other was
#: removed from the configuration.
_RETIRE_EXTERNAL = f"""
UPDATE processes SET
    state = 'stopped', desired = 'stopped', pid = NULL, kill_at = NULL, standby = false, message = $4, at = $3
WHERE host = $1 AND name <> ALL($2::text[]) AND (at < $3 OR {_UNTRUE_TIME.format("processes")})
    AND state <> 'stopped' AND guest
RETURNING {views.columns("process")}
"""  # noqa: S608
#: An external worker that its host lists under another name has not ended: the configuration has taken its name.
_DELETE_REMOVED = f"""
DELETE FROM processes
WHERE host = $1 AND name <> ALL($2::text[]) AND (at < $3 OR {_UNTRUE_TIME.format("processes")})
    AND (NOT guest OR instance = ANY($4::text[]))
RETURNING host, name
"""  # noqa: S608

#: Nobody starts them again under the same name on purpose; names like celery-4711 would fill the page.
_DELETE_ENDED_EXTERNAL = """
DELETE FROM processes
WHERE (guest OR NOT configured) AND state = 'stopped' AND at < now() - make_interval(secs => $1)
RETURNING host, name
"""

_CONFIRMED = """
SELECT DISTINCT task_id FROM open_task_logs WHERE host = ANY($1::text[]) AND status = 'running' AND confirmed
"""
_UNCONFIRM = """
UPDATE open_task_logs SET confirmed = false
WHERE host = ANY($1::text[]) AND task_id = ANY($2::text[]) AND status = 'running' AND confirmed
"""

#: By the clock of PostgreSQL: those of the hosts may be wrong.
_IS_SILENT = "state = 'online' AND heard_at < now() - make_interval(secs => $1)"
#: Absent hosts with processes or runs that late events brought back.
_IS_SHOWN_AS_PRESENT = """state IN ('unknown', 'offline') AND (
    EXISTS (SELECT FROM processes WHERE host = h.name AND state NOT IN ('stopped', 'fatal', 'unknown'))
    OR EXISTS (SELECT FROM open_task_logs WHERE host = h.name AND status = 'running' AND confirmed)
)"""
_ABSENT = f"SELECT name FROM hosts AS h WHERE ({_IS_SILENT}) OR ({_IS_SHOWN_AS_PRESENT})"  # noqa: S608 - ours
_LOCK = "SELECT FROM hosts WHERE name = ANY($1::text[]) ORDER BY name FOR NO KEY UPDATE"
_MARK_SILENT = f"""
UPDATE hosts SET state = 'unknown' WHERE {_IS_SILENT} AND name = ANY($2::text[])
RETURNING {views.columns("host")}
"""  # noqa: S608
_STATES = "SELECT name, state FROM hosts WHERE name = ANY($1::text[]) AND state IN ('unknown', 'offline')"

#: Hosts with more processes in the record than they list, which are there already.
_WITH_OTHERS = """
SELECT s.host FROM unnest($1::text[], $2::integer[]) AS s (host, listed)
WHERE (SELECT count(*) FROM processes AS p WHERE p.host = s.host) > s.listed
"""

LEFT = "Its controller has left; it may run on"
SILENT = "Nothing is heard from its host"
ENDED = "Its host no longer reports it"


async def upsert_hosts(connection: Connection, rows: Collection[HostRow]) -> list[Row]:
    """Merge rows of distinct hosts; return the visible changes."""
    ordered = sorted(rows, key=lambda row: row.name)
    return await connection.fetch(_UPSERT_HOSTS, *arrays(_HOSTS, ordered))


async def mark_heard(connection: Connection, repeated: Collection[HostSeen], others: Collection[str]) -> list[HostSeen]:
    """Note that these heartbeats came, which say nothing new; return those that do, as their host is not online.

    `others` are hosts that the same transaction writes afterwards: two that write the same ones wait for each other.
    """
    names = [seen.host for seen in repeated]
    rows = await connection.fetch(_MARK_HEARD, names, [seen.at for seen in repeated], sorted({*names, *others}))
    heard = {row["name"] for row in rows}
    return [seen for seen in repeated if seen.host not in heard]


async def upsert_processes(connection: Connection, rows: Collection[ProcessChanged]) -> list[Row]:
    """Merge rows of distinct processes; return the visible changes."""
    ordered = sorted(rows, key=lambda row: (row.host, row.name))
    folded = [msgspec.structs.replace(row, queues="\n".join(row.queues)) for row in ordered]
    return await connection.fetch(_UPSERT_PROCESSES, *arrays(_PROCESSES, folded))


async def lock_confirmed(connection: Connection, hosts: Collection[str], changed: views.ChangedViews) -> set[str]:
    """Lock the tasks that are shown as surely running on these hosts; for `mark_unknown`, before hosts are locked."""
    task_ids = {row["task_id"] for row in await connection.fetch(_CONFIRMED, list(hosts))}
    if task_ids:
        await lock_tasks(connection, task_ids, changed)
    return task_ids


async def mark_unknown(
    connection: Connection, hosts: Collection[str], why: str, task_ids: Collection[str], changed: views.ChangedViews
) -> None:
    """Mark all processes on these hosts as unknown, and those of the tasks `task_ids` that run there as not confirmed.

    What began after those were locked is found by the next sweep.
    """
    changed.add("process", await connection.fetch(_MARK_PROCESSES_UNKNOWN, list(hosts), why))
    if task_ids:
        await connection.execute(_UNCONFIRM, list(hosts), list(task_ids))
        changed.add("task", await show_liveliest(connection, task_ids))


async def mark_silent_hosts(connection: Connection, after: float, changed: views.ChangedViews) -> None:
    """Mark hosts without a heartbeat for `after` seconds as unknown, and all that may run there."""
    hosts = [row["name"] for row in await connection.fetch(_ABSENT, after)]
    if not hosts:
        return
    task_ids = await lock_confirmed(connection, hosts, changed)
    await connection.execute(_LOCK, hosts)
    changed.add("host", await connection.fetch(_MARK_SILENT, after, hosts))
    rows = await connection.fetch(_STATES, hosts)
    for state, why in (("unknown", SILENT), ("offline", LEFT)):
        if absent := [row["name"] for row in rows if row["state"] == state]:
            await mark_unknown(connection, absent, why, task_ids, changed)


async def retire(connection: Connection, snapshots: Collection[HostSeen], changed: views.ChangedViews) -> None:
    """Delete the processes that their hosts no longer list; show external workers among them as stopped."""
    listed = {snapshot.host: {process.name for process in snapshot.processes} for snapshot in snapshots}
    rows = await connection.fetch(_WITH_OTHERS, list(listed), [len(names) for names in listed.values()])
    with_others = {row["host"] for row in rows}
    for snapshot in snapshots:
        if snapshot.host in with_others:
            await _retire(connection, snapshot, list(listed[snapshot.host]), changed)


async def _retire(connection: Connection, snapshot: HostSeen, listed: list[str], changed: views.ChangedViews) -> None:
    instances = [process.instance for process in snapshot.processes if process.instance and process.pid]
    removed = await connection.fetch(_DELETE_REMOVED, snapshot.host, listed, snapshot.at, instances)
    changed.remove("process", removed)
    changed.add("process", await connection.fetch(_RETIRE_EXTERNAL, snapshot.host, listed, snapshot.at, ENDED))


async def delete_ended_external(connection: Connection, after: float, changed: views.ChangedViews) -> None:
    """Delete external workers, and processes that are not configured, that ended more than `after` seconds ago."""
    changed.remove("process", await connection.fetch(_DELETE_ENDED_EXTERNAL, after))
