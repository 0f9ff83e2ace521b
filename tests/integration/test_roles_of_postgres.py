"""Each service works with the role that deploy/postgres/roles.sql gives it, and can do nothing else."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]
import pytest

from signalbox.bus.publisher import publish_command
from signalbox.messages.commands import CancelTask
from signalbox.messages.events import CommandDone, HostSeen
from signalbox.postgres.pool import PLANNED_ONCE, Connection, Database, open_database
from signalbox.trail.append import NewLine, append
from signalbox_local.stores.roles import API, RECONCILER, prepare
from signalbox_reconciler.retention.loop import Retention
from signalbox_reconciler.trail import Trail
from support.api import PASSWORD, an_api
from support.eventually import eventually
from support.history import HOST, Life, after
from support.reconciler import KEY, a_recording
from support.retention import KEEP, pass_days
from support.stores.server import Redis
from support.trail import verified

PASSWORDS = {API: "the api's own", RECONCILER: "the reconciler's own"}
READ = ("tasks/", "commands/", "celery-status/", "users/", "tokens/", "task-counts/", "audit/", "audit/export/")
#: Rights and owners of everything.
RIGHTS = """
SELECT name, owner, (SELECT string_agg(one::text, ' ' ORDER BY one::text) FROM unnest(rights) AS one) AS rights FROM (
    SELECT relname AS name, relacl AS rights, relowner::regrole::text AS owner, relnamespace AS schema FROM pg_class
    UNION ALL SELECT proname, proacl, proowner::regrole::text, pronamespace FROM pg_proc
) AS everything WHERE schema = 'signalbox'::regnamespace
"""
RUN = Life().run(2)


@pytest.fixture
async def urls(database_url: str) -> dict[str, str]:
    """The address of the record for each service."""
    await prepare(database_url, PASSWORDS)
    place = urlsplit(database_url)
    where = f"{place.hostname}:{place.port}{place.path}"
    return {role: f"postgresql://{role}:{password.replace(' ', '%20')}@{where}" for role, password in PASSWORDS.items()}


@pytest.fixture
async def as_api(urls: dict[str, str]) -> AsyncIterator[Database]:
    async with open_database(urls[API], connections=2) as database:
        yield database


@pytest.fixture
async def as_reconciler(urls: dict[str, str]) -> AsyncIterator[Database]:
    async with open_database(urls[RECONCILER], connections=2, options=PLANNED_ONCE) as database:
        yield database


#: What no service may do, whatever it was made to send.
FORBIDDEN = (
    *("UPDATE trail SET who = ''", "UPDATE trail_chain SET hash = ''", "UPDATE trail_ends SET hash = ''"),
    *("DELETE FROM trail", "DELETE FROM trail_chain", "DELETE FROM trail_ends"),
    *("TRUNCATE trail", "TRUNCATE trail_chain", "TRUNCATE trail_ends"),
    *("DROP TABLE trail", "DROP TABLE trail_chain", "DROP TABLE trail_ends"),
    "INSERT INTO trail (at, kind, who, address, about, details, outcome) VALUES (now(), '', '', '', '', '', '')",
    "INSERT INTO trail_chain VALUES (1, 1, '')",
    "ALTER TABLE trail DISABLE TRIGGER ALL",
    "ALTER TABLE commands DISABLE TRIGGER commands_on_trail",
    "DROP TRIGGER outcomes_on_trail ON commands",
    "CREATE TRIGGER mine BEFORE INSERT ON trail FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "ALTER FUNCTION append_trail SECURITY INVOKER",
    "DROP FUNCTION cut_trail",
    "SELECT nextval(pg_get_serial_sequence('trail', 'line'))",
    "SELECT setval(pg_get_serial_sequence('trail', 'line'), 1)",
    "INSERT INTO signalbox_migrations VALUES ('reconciler', 99, 'mine', '')",
    "UPDATE signalbox_migrations SET checksum = ''",
    "DROP SCHEMA signalbox CASCADE",
    "SET SESSION AUTHORIZATION signalbox",
    "CREATE ROLE mine SUPERUSER",
)
OF_ONE = {
    API: (
        "SELECT chain_trail('0', 1)",
        "SELECT cut_trail('1 day', 1)",
        "UPDATE tasks SET status = status",
        "UPDATE open_tasks SET status = status",
        "INSERT INTO hosts (name, state, seen_at, at) VALUES ('x', 'online', now(), now())",
        "DELETE FROM commands",
        "CREATE TABLE signalbox.mine (a int)",
    ),
    RECONCILER: (
        "SELECT password_hash FROM users",
        "SELECT digest FROM api_tokens",
        "UPDATE users SET role = 'admin'",
        "DELETE FROM sessions",
    ),
}


@pytest.mark.parametrize("role", [API, RECONCILER])
async def test_no_service_changes_the_trail_or_takes_what_is_not_its_own(
    urls: dict[str, str], as_api: Database, role: str
) -> None:
    async with as_api.connection() as connection:
        await append(connection, NewLine(kind="test", who="user:alice"))
    connection = await asyncpg.connect(urls[role], server_settings={"search_path": "signalbox"})
    try:
        allowed = []
        for statement in (*FORBIDDEN, *OF_ONE[role]):
            try:
                await connection.execute(statement)
            except asyncpg.InsufficientPrivilegeError:
                continue
            allowed.append(statement)
        assert allowed == []
        assert await connection.fetchval("SELECT count(*) FROM trail") == 1
        assert not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    finally:
        await connection.close()


async def test_a_cancel_goes_through_with_a_role_for_each_service(
    urls: dict[str, str], valkey: Redis, database: Database, tmp_path: Path
) -> None:
    async with a_recording(valkey, urls[RECONCILER], tmp_path) as recording:
        await recording.start()
        await recording.tell(HostSeen(at=after(1), host=HOST), Life().received(1), RUN.started())
        await recording.task("running")
        cancel = CancelTask(
            command_id="c1", task_id="t1", issued_by="user:a", issued_at=after(3), expires_at=after(1e9)
        )
        await publish_command(recording.redis, KEY, cancel)
        await recording.command("issued")
        done = CommandDone(at=after(4), host=HOST, command_id="c1", verdict="cancelled", task_id="t1")
        await recording.tell(RUN.cancelled(4), done)
        await recording.task("failed")
        await recording.command("cancelled")
        async with database.connection() as owner:
            await eventually(lambda: chained(owner, 2), "the reconciler chains both lines")
            found = await verified(owner, writers=[RECONCILER])
        assert (found.problem, found.writers) == (None, {RECONCILER: found.verified})
        assert "permission denied" not in recording.reconcilers[0].log


async def chained(connection: Connection, least: int) -> bool:
    return bool(await connection.fetchval("SELECT count(*) FROM trail_chain") >= least)


async def test_the_api_signs_people_in_and_lists_the_record_with_its_role(
    urls: dict[str, str], valkey: Redis, as_reconciler: Database
) -> None:
    async with as_reconciler.connection() as connection:
        await connection.execute(
            "INSERT INTO reconcilers VALUES ('the tests', now() + interval '1 day', now() + interval '1 day')"
        )
    async with an_api(valkey.url, urls[API], vouched=False) as api, api.client("") as browser:
        await api.sign_in(browser, password=PASSWORD)
        for path in (
            "tasks/",
            "commands/",
            "celery-status/",
            "users/",
            "tokens/",
            "task-counts/",
            "audit/",
            "audit/export/",
        ):
            answer = await browser.get(f"/scheduler/{path}")
            assert answer.status_code == 200, (path, answer.text)
        assert (await api.make_token("viewer"))["role"] == "viewer"


async def test_the_reconciler_begins_and_drops_periods_and_cuts_the_trail_with_its_role(
    as_reconciler: Database, database: Database
) -> None:
    async with database.connection() as owner:
        await append(owner, NewLine(kind="test", who="user:alice"))
        await owner.execute("UPDATE trail SET at = at - interval '400 days'")
        await Trail(as_reconciler).round()
        for days in (6, 31):
            await pass_days(database, days)
            await Retention(as_reconciler, KEEP, timedelta(days=365)).round()
        begun = await owner.fetchval("SELECT count(*) FROM periods WHERE begins > now() - interval '1 hour'")
        assert begun == 2
        assert await owner.fetchval("SELECT count(*) FROM trail") == 0
        assert await owner.fetchval("SELECT number FROM trail_ends WHERE name = 'cut'") == 1


async def test_making_the_roles_again_changes_nothing(
    urls: dict[str, str], database_url: str, database: Database
) -> None:
    assert urls
    async with database.connection() as owner:
        before = sorted(map(str, await owner.fetch(RIGHTS)))
        await prepare(database_url, PASSWORDS)
        assert sorted(map(str, await owner.fetch(RIGHTS))) == before


async def test_a_service_that_meets_older_tables_says_who_may_change_them(
    urls: dict[str, str], valkey: Redis, database: Database, tmp_path: Path
) -> None:
    async with database.connection() as owner:
        await owner.execute(
            "DROP TRIGGER forgotten_hosts_on_trail ON hosts; DROP TRIGGER commands_on_trail ON commands;"
            " DROP TRIGGER outcomes_on_trail ON commands; DROP TABLE trail, trail_chain, trail_ends;"
            " DROP FUNCTION trail_time, trail_field, append_trail, chain_trail, cut_trail, trail_commands,"
            " trail_outcomes, trail_forgotten_host;"
            " DELETE FROM signalbox_migrations WHERE service = 'reconciler' AND number = 18"
        )
    async with a_recording(valkey, urls[RECONCILER], tmp_path) as recording:
        reconciler = recording.launch()
        assert await reconciler.ended() == 2
        assert "let the owner of the tables run once" in reconciler.log
    async with database.connection() as owner:
        assert await owner.fetchval("SELECT to_regclass('trail') IS NULL")
