"""Forgotten hosts: those that left for good, as a person said or after a settable time; `gone` in the table `hosts`.

What ran there is given up without an observed end. A host that reports again is shown again.
"""

from collections.abc import Collection, Sequence

from signalbox.messages.receipts import Answered
from signalbox.messages.verdicts import Verdict
from signalbox.postgres.pool import Connection, Row
from signalbox_reconciler.fold.commands import CommandRow
from signalbox_reconciler.store import views

#: Seconds after which a host is forgotten whose controller left with nothing running, as a pod that ended in order.
LEFT_SHOWN = 3600.0
#: Seconds for which a host stays as `gone`, longer than its last events travel.
GONE_KEPT = 3600.0

_FORGET = f"""
UPDATE hosts SET state = 'gone', gone_at = now() WHERE name = ANY($1::text[]) AND state IN ('unknown', 'offline')
RETURNING {views.columns("host")}
"""  # noqa: S608 - names of our own columns
#: Whether something of an absent host may run on: its controller left it running, or fell silent.
_MAY_RUN = """(
    EXISTS (SELECT FROM processes WHERE host = h.name AND state NOT IN ('stopped', 'fatal'))
    OR EXISTS (SELECT FROM open_task_logs WHERE host = h.name AND status = 'running')
)"""
_FORGET_SILENT = f"""
UPDATE hosts AS h SET state = 'gone', gone_at = now()
WHERE state = 'unknown' AND heard_at < now() - make_interval(secs => $1)
    OR state = 'offline' AND heard_at < now() - make_interval(secs => LEAST($1, $2)) AND NOT {_MAY_RUN}
RETURNING {views.columns("host")}
"""  # noqa: S608
_MISSED = f"SELECT name FROM hosts AS h WHERE state IN ('unknown', 'offline') AND {_MAY_RUN}"  # noqa: S608
#: Also those that late events brought back.
_DELETE_PROCESSES = """
DELETE FROM processes AS p USING hosts AS h WHERE h.name = p.host AND h.state = 'gone' RETURNING p.host, p.name
"""
_DELETE_GONE = "DELETE FROM hosts WHERE state = 'gone' AND gone_at < now() - make_interval(secs => $1)"
_DELETE_PRESENT = "DELETE FROM hosts WHERE state = 'gone' AND name = ANY($1::text[])"

_OPEN = "SELECT command_id FROM commands WHERE command_id = ANY($1::text[]) AND state = 'issued'"
_ONLINE = "SELECT name FROM hosts WHERE name = ANY($1::text[]) AND state = 'online' ORDER BY name"
_CONCLUDE = f"""
UPDATE commands SET state = $2, detail = $3, finished_at = GREATEST(now(), issued_at) WHERE command_id = $1
RETURNING {views.columns("command")}
"""  # noqa: S608
_ANSWERS = "SELECT command_id, state, detail, finished_at FROM commands WHERE command_id = ANY($1::text[])"

STILL_THERE = "{} reports: stop its controller first"


async def forget_hosts(connection: Connection, rows: Collection[CommandRow], changed: views.ChangedViews) -> None:
    """Forget the hosts that these commands name; a command that was carried out before is passed over."""
    commands = {row.command_id: row for row in rows if row.forgets}
    if not commands:
        return
    for opened in await connection.fetch(_OPEN, list(commands)):
        command = commands[opened["command_id"]]
        online = [row["name"] for row in await connection.fetch(_ONLINE, list(command.forgets))]
        verdict: Verdict = "refused" if online else "forgotten"
        detail = STILL_THERE.format(", ".join(online)) if online else ""
        changed.add("command", await connection.fetch(_CONCLUDE, command.command_id, verdict, detail))
        if not online:
            await _forgotten(connection, await connection.fetch(_FORGET, list(command.forgets)), changed)


async def forget_answers(connection: Connection, rows: Collection[CommandRow]) -> Sequence[Answered]:
    """The answers to these commands, as far as they forget hosts."""
    command_ids = [row.command_id for row in rows if row.forgets]
    if not command_ids:
        return ()
    return [
        Answered(command_id=row["command_id"], at=row["finished_at"], verdict=row["state"], detail=row["detail"])
        for row in await connection.fetch(_ANSWERS, command_ids)
        if row["finished_at"] is not None
    ]


async def forget_silent_hosts(connection: Connection, after: float, changed: views.ChangedViews) -> None:
    """Forget silent hosts after so many seconds, and earlier those whose controller left with nothing running.

    One whose controller left while something ran is not forgotten here: that runs on, as was wanted.
    """
    await _forgotten(connection, await connection.fetch(_FORGET_SILENT, after, LEFT_SHOWN), changed)
    await connection.execute(_DELETE_GONE, GONE_KEPT)


async def gone_hosts(connection: Connection) -> list[str]:
    """The hosts that are gone."""
    return [row["name"] for row in await connection.fetch("SELECT name FROM hosts WHERE state = 'gone'")]


async def missed_hosts(connection: Connection) -> list[str]:
    """The absent hosts where something may run."""
    return [row["name"] for row in await connection.fetch(_MISSED)]


async def welcome(connection: Connection, hosts: Collection[str]) -> None:
    """Have the next heartbeat of these hosts show them again, whatever their clocks say."""
    await connection.execute(_DELETE_PRESENT, list(hosts))


async def _forgotten(connection: Connection, hosts: Sequence[Row], changed: views.ChangedViews) -> None:
    changed.add("host", hosts)
    changed.remove("process", await connection.fetch(_DELETE_PROCESSES))
