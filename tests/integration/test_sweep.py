"""A check of the record that fails is told in the log, and holds up no other."""

import time
from contextlib import aclosing

import pytest

from signalbox.bus.connection import connect
from signalbox.postgres.pool import Database
from signalbox.service import background
from signalbox_reconciler import sweep
from signalbox_reconciler.intents import Intents
from support.eventually import eventually
from support.stores.server import Redis

#: A silent host that cannot be marked, whatever the reason, and a command whose time is over.
_RECORD = """
INSERT INTO hosts (name, state, seen_at, heard_at, at)
SELECT 'web', 'online', past, past, past FROM (SELECT now() - interval '1 hour' AS past) AS long_ago;
INSERT INTO commands (command_id, command, target, issued_by, issued_from, reason, issued_at, expires_at, answer_by,
    state, detail)
SELECT 'c1', 'StopProcesses', '', 'user:a', '', '', past, past, past, 'issued', ''
FROM (SELECT now() - interval '1 hour' AS past) AS long_ago;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this host'; END $$;
CREATE TRIGGER refused BEFORE UPDATE ON hosts FOR EACH ROW EXECUTE FUNCTION refuse();
"""


async def test_a_check_that_fails_holds_up_no_other_and_is_tried_again(
    valkey: Redis, database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "EVERY", 0.05)
    long_ago = time.monotonic() - 3600.0
    async with aclosing(connect(valkey.url)) as redis, database.connection() as connection:
        await connection.execute(_RECORD)
        checks = sweep.Sweep(
            redis,
            database,
            lambda: long_ago,
            Intents(redis, database, 60.0),
            lost_after=300.0,
            forget_after=86400.0,
            remember_cancelled=3600.0,
        )
        async with background(checks.run):
            expired = "SELECT state = 'expired' FROM commands"
            await eventually(lambda: connection.fetchval(expired), "the command has expired")
            assert "not this host" in caplog.text
            await connection.execute("DROP TRIGGER refused ON hosts")
            marked = "SELECT state = 'unknown' FROM hosts"
            await eventually(lambda: connection.fetchval(marked), "the host is marked in a later round")
