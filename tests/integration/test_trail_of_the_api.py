"""What people and programs do at the api is on the trail: sign-ins, users, tokens, refusals, settings."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from signalbox.errors import DatabaseUnavailable
from signalbox.postgres.migrate import migrate
from signalbox.postgres.pool import Database, open_database
from signalbox.settings import Settings
from signalbox.trail.start import note_settings
from signalbox_api import bootstrap as first_start
from signalbox_api.bootstrap import bootstrap
from signalbox_api.services import Services
from signalbox_reconciler.service import MIGRATIONS, SERVICE
from support.api import ADMIN, KEY, PASSWORD, Api, Json, an_api
from support.eventually import eventually
from support.reconciler import a_recording
from support.stores.server import Postgres, Redis

NEW = {"name": "bob", "role": "operator", "password": "a password of bob's"}


@pytest.fixture
async def api(valkey: Redis, database_url: str) -> AsyncIterator[Api]:
    async with an_api(valkey.url, database_url) as running:
        yield running


async def rows(database: Database, kind: str) -> list[Json]:
    """The lines of a kind, with their details as an object."""
    async with database.connection() as connection:
        found = await connection.fetch("SELECT * FROM trail WHERE kind = $1 ORDER BY line", kind)
    return [{**row, "details": json.loads(row["details"])} for row in found]


async def some(database: Database, kind: str, least: int = 1) -> list[Json]:
    """So many lines of a kind, as soon as they are there."""

    async def look() -> list[Json]:
        found = await rows(database, kind)
        return found if len(found) >= least else []

    return await eventually(look, f"{least} lines of the kind {kind}")


def said(line: Json) -> tuple[str, str, str, str]:
    return line["who"], line["address"], line["about"], line["outcome"]


async def test_a_sign_in_and_a_sign_out_are_lines(api: Api, database: Database) -> None:
    async with api.client("") as browser:
        csrf = await api.sign_in(browser)
        [begun] = await rows(database, "sign-in")
        await browser.delete("/session", headers={"X-CSRF-Token": csrf})
    session = begun["about"]
    assert said(begun) == (f"user:{ADMIN}", "127.0.0.1", session, "signed in")
    [ended] = await some(database, "sign-out")
    assert said(ended) == (f"user:{ADMIN}", "127.0.0.1", session, "signed out")


async def test_a_failed_sign_in_names_the_user_only_if_there_is_one(api: Api, database: Database) -> None:
    async with api.client("") as browser:
        for name in (ADMIN, "correct horse battery"):
            await browser.post("/session", json={"username": name, "password": "wrong password"})
    found = await some(database, "sign-in", 2)
    assert {said(line) for line in found} == {
        (f"user:{ADMIN}", "127.0.0.1", "POST /session", "refused"),
        ("a user who is not known", "127.0.0.1", "POST /session", "refused"),
    }
    assert "correct horse battery" not in str(found)


async def test_users_are_added_and_removed_by_somebody(api: Api, database: Database) -> None:
    before = len(await rows(database, "user"))
    async with api.client() as admin:
        (await admin.post("/scheduler/users/", json=NEW)).raise_for_status()
        assert (await admin.post("/scheduler/users/", json=NEW)).status_code == 409
        (await admin.delete("/scheduler/users/bob/")).raise_for_status()
    added, removed = (await rows(database, "user"))[before:]
    assert said(added) == ("token:local", "127.0.0.1", "user:bob", "added")
    assert added["details"] == {"role": "operator"}
    assert said(removed) == ("token:local", "127.0.0.1", "user:bob", "removed")
    assert "password" not in str(await rows(database, "user"))


async def test_tokens_are_made_and_revoked_by_somebody(api: Api, database: Database) -> None:
    before = len(await rows(database, "token"))
    made = await api.make_token("viewer", "deploys")
    async with api.client() as admin:
        (await admin.delete(f"/scheduler/tokens/{made['token_id']}/")).raise_for_status()
    begun, ended = (await some(database, "token", before + 2))[before:]
    assert said(begun) == ("token:local", "127.0.0.1", f"token {made['token_id']}", "made")
    assert begun["details"] == {"name": "deploys", "role": "viewer"}
    assert said(ended) == ("token:local", "127.0.0.1", f"token {made['token_id']}", "revoked")
    assert made["token"] not in str(await rows(database, "token"))


async def test_the_first_user_and_token_are_lines_and_so_is_a_new_password(api: Api, database: Database) -> None:
    assert [said(line)[2:] for line in await rows(database, "user")] == [(f"user:{ADMIN}", "added")]
    await bootstrap(api.settings, ADMIN, "another password of the admin")
    assert [said(line)[0::3] for line in await rows(database, "user")][1:] == [("service:bootstrap", "changed")]
    assert [line["outcome"] for line in await rows(database, "token")] == ["made", "revoked", "made"]


async def test_refusals_of_those_who_show_something_are_counted(api: Api, database: Database) -> None:
    viewer = await api.make_token("viewer", "looks")
    async with api.client(viewer["token"]) as client, api.client("sbt_" + "0" * 16 + "_" + "A" * 43) as unknown:
        for _ in range(3):
            assert (await client.get("/scheduler/users/")).status_code == 403
        assert (await unknown.get("/scheduler/tasks/some id/")).status_code == 401
    async with api.client("") as nobody:
        assert (await nobody.get("/scheduler/tasks/")).status_code == 401

    async def look() -> list[Json]:
        found = await rows(database, "refusal")
        await services_of(api).trail.write(all_of_it=True)
        return found if sum(line["details"]["times"] for line in found) == 4 else []

    found = await eventually(look, "all refusals are on the trail")
    by_whom = {line["who"]: line for line in found}
    assert by_whom.keys() == {"token:looks", "a credential that is not valid, " + "0" * 16}
    assert said(by_whom["token:looks"])[1:] == ("127.0.0.1", "GET /scheduler/users/", "refused")
    assert by_whom["token:looks"]["details"]["status"] == 403


def services_of(api: Api) -> Services:
    services: Services = api.app.state.services
    return services


async def test_a_websocket_that_is_refused_is_a_line(api: Api, database: Database) -> None:
    url = api.url.replace("http", "ws") + "/scheduler/live/"
    with pytest.raises(InvalidStatus):
        await connect(url, additional_headers={"Authorization": "Bearer nonsense"}, proxy=None).__aenter__()
    [line] = await some(database, "refusal")
    assert said(line) == ("what is no credential", "127.0.0.1", "WS /scheduler/live/", "refused")


async def test_a_refusal_while_postgresql_is_away_is_a_line_later(
    api: Api, database: Database, postgres_server: Postgres
) -> None:
    await some(database, "settings")
    viewer = await api.make_token("viewer", "looks")
    async with api.client(viewer["token"]) as client:
        await client.get("/scheduler/tasks/")
        await postgres_server.stop()
        try:
            assert (await client.get("/scheduler/users/")).status_code == 403
        finally:
            await postgres_server.start()
    [line] = await some(database, "refusal")
    assert line["who"] == "token:looks"


async def test_what_is_still_counted_is_written_when_the_api_stops(
    valkey: Redis, database_url: str, database: Database
) -> None:
    async with an_api(valkey.url, database_url) as api:
        viewer = await api.make_token("viewer", "looks")
        async with api.client(viewer["token"]) as client:
            await client.get("/scheduler/users/")
            await some(database, "refusal")
            await client.get("/scheduler/users/")
    assert [line["details"]["times"] for line in await rows(database, "refusal")] == [1, 1]


async def test_settings_are_a_line_when_they_differ_from_the_last_start(database: Database) -> None:
    settings = Settings(
        redis_url="redis://:secret1@bus:6379/0",
        database_url="postgresql://someone:secret2@db/x?password=secret3",
        key=KEY,
        hostname="web-07",
    )
    other = Settings(redis_url="redis://bus/0", key=KEY, hostname="web-07", lost_after=10.0)
    async with database.connection() as connection:
        noted = [await note_settings(connection, "api", one) for one in (settings, settings, other, other, settings)]
        assert await note_settings(connection, "reconciler", settings)
    assert noted == [True, False, True, False, True]
    first, second, *_ = await rows(database, "settings")
    assert said(first) == ("service:api", "", "api on web-07", "done")
    assert first["details"]["redis_url"] == "redis://bus:6379/0"
    assert first["details"]["database_url"] == "postgresql://someone@db/x"
    assert second["details"]["lost_after"] == "10.0"
    assert not [text for text in ("secret", KEY, '"key"') if text in str(await rows(database, "settings"))]


async def test_both_services_note_their_settings_when_they_start(
    api: Api, valkey: Redis, database: Database, database_url: str, tmp_path: Path
) -> None:
    assert api
    async with a_recording(valkey, database_url, tmp_path) as recording:
        await recording.start(SIGNALBOX_HOSTNAME="web-07")
        found = await some(database, "settings", 2)
    assert {line["who"] for line in found} == {"service:api", "service:reconciler"}


async def test_who_may_not_have_a_line_written_is_told(api: Api, database: Database) -> None:
    """Nothing is changed that could not be put on the trail."""
    async with database.connection() as connection:
        await connection.execute("ALTER TABLE trail RENAME TO trail_away")
    async with api.client() as admin:
        assert (await admin.post("/scheduler/users/", json=NEW)).status_code == 503
        async with database.connection() as connection:
            await connection.execute("ALTER TABLE trail_away RENAME TO trail")
    assert [row["name"] for row in await users(database)] == [ADMIN]


async def users(database: Database) -> list[Json]:
    async with database.connection() as connection:
        return [dict(row) for row in await connection.fetch("SELECT name FROM users")]


async def test_the_first_user_is_made_as_soon_as_a_reconciler_has_made_the_trail(
    empty_database_url: str, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(redis_url=valkey.url, database_url=empty_database_url, key=KEY)
    async with open_database(empty_database_url) as database:
        made = asyncio.create_task(bootstrap(settings, ADMIN, PASSWORD))

        async def it_has_looked_for_the_trail() -> bool:
            looks = "SELECT FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%append_trail%'"
            async with database.connection() as connection:
                return bool(await connection.fetch(looks))

        await eventually(it_has_looked_for_the_trail, "it waits for the trail")
        await migrate(database, SERVICE, MIGRATIONS)
        assert await made
        assert [line["outcome"] for line in await rows(database, "user")] == ["added"]

    monkeypatch.setattr(first_start, "RECONCILER_WITHIN", 0.05)
    async with open_database(empty_database_url) as database, database.connection() as connection:
        await connection.execute("ALTER FUNCTION append_trail RENAME TO of_another_release")
    with pytest.raises(DatabaseUnavailable, match="start signalbox-reconciler"):
        await bootstrap(settings, ADMIN, PASSWORD)
