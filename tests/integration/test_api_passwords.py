"""Passwords: long enough, changed by oneself or by an admin, and what that does to sessions."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher

from signalbox.postgres.pool import Connection, Database
from signalbox_api.auth.passwords import SHORTEST
from signalbox_api.auth.throttle import PAIR_TRIES
from support.api import Api, an_api
from support.cli import Ended, run
from support.eventually import eventually
from support.stores.server import Redis

OLD, NEW = "a password of hers", "another one of hers"
ALICE = {"name": "alice", "role": "operator", "password": OLD}


@pytest.fixture
async def api(valkey: Redis, database_url: str) -> AsyncIterator[Api]:
    async with an_api(valkey.url, database_url) as running:
        async with running.client() as admin:
            (await admin.post("/scheduler/users/", json=ALICE)).raise_for_status()
        yield running


async def changed(browser: httpx.AsyncClient, csrf: str, current: str, new: str) -> httpx.Response:
    body = {"current": current, "password": new}
    return await browser.post("/session/password", json=body, headers={"X-CSRF-Token": csrf})


async def may_sign_in(api: Api, password: str) -> bool:
    async with api.client("") as browser:
        answer = await browser.post("/session", json={"username": "alice", "password": password})
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


async def test_a_new_password_has_twelve_characters(api: Api) -> None:
    short, enough = "x" * (SHORTEST - 1), "x" * SHORTEST
    assert SHORTEST == 12
    async with api.client() as admin, api.client("") as browser:
        csrf = await api.sign_in(browser, "alice", OLD)
        answers = [
            await admin.post("/scheduler/users/", json={"name": "bob", "role": "viewer", "password": short}),
            await admin.put("/scheduler/users/alice/password/", json={"password": short}),
            await changed(browser, csrf, OLD, short),
        ]
        assert [answer.status_code for answer in answers] == [422] * 3
        for answer in answers:
            assert answer.json()["message"].endswith("string should have at least 12 characters")
        assert (await changed(browser, csrf, OLD, enough)).status_code == 200


async def test_a_short_password_of_before_still_signs_in(api: Api, database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("UPDATE users SET password_hash = $1", PasswordHasher().hash("8 or so"))
    assert await may_sign_in(api, "8 or so")


async def test_one_changes_ones_own_password_and_only_this_session_goes_on(api: Api, database: Database) -> None:
    async with api.client("") as here, api.client("") as there:
        csrf = await api.sign_in(here, "alice", OLD)
        await api.sign_in(there, "alice", OLD)
        answer = await changed(here, csrf, OLD, NEW)
        assert answer.json()["message"] == "Your password has been changed; 1 other sessions have ended"
        assert [(await one.get("/session")).status_code for one in (here, there)] == [200, 401]
    assert [await may_sign_in(api, one) for one in (OLD, NEW)] == [False, True]
    async with database.connection() as connection:
        line = await connection.fetchrow("SELECT who, about FROM trail WHERE outcome = 'password changed'")
    assert line
    assert dict(line) == {"who": "user:alice", "about": "user:alice"}


async def test_a_wrong_current_password_changes_nothing_and_is_counted(api: Api) -> None:
    async with api.client("") as browser:
        csrf = await api.sign_in(browser, "alice", OLD)
        for _ in range(PAIR_TRIES):
            answer = await changed(browser, csrf, "a guess of somebody", NEW)
            assert answer.status_code == 403
            assert answer.json()["message"] == "The current password is wrong; nothing was changed"
        assert (await changed(browser, csrf, OLD, NEW)).status_code == 429
        assert (await browser.get("/session")).status_code == 200


async def test_an_admin_sets_a_password_and_all_sessions_end(api: Api) -> None:
    async with api.client() as admin, api.client("") as browser:
        await api.sign_in(browser, "alice", OLD)
        answer = await admin.put("/scheduler/users/alice/password/", json={"password": NEW})
        assert answer.json()["message"] == "User alice has another password; 1 sessions have ended"
        assert (await browser.get("/session")).status_code == 401
        nobody = await admin.put("/scheduler/users/nobody/password/", json={"password": NEW})
        assert nobody.status_code == 404
    assert [await may_sign_in(api, one) for one in (OLD, NEW)] == [False, True]


async def test_the_command_line_changes_ones_own_password_and_an_admin_sets_it(
    api: Api, database: Database, tmp_path: Path
) -> None:
    own = ("password", "--user", "alice", "--password-stdin", "--url", api.url)
    wrong = await run(*own, data=tmp_path, typed=f"a wrong one\n{NEW}\n")
    assert (wrong.code, wrong.err.strip()) == (1, "The name or the password is wrong")
    short = await run(*own, data=tmp_path, typed=f"{OLD}\nshort\n")
    assert short.code == 1
    assert "at least 12 characters" in short.err
    done = await run(*own, data=tmp_path, typed=f"{OLD}\n{NEW}\n")
    assert done == Ended(0, "Your password has been changed; 0 other sessions have ended\n", "")
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM sessions WHERE revoked_at IS NULL") == 0
    assert [await may_sign_in(api, one) for one in (OLD, NEW)] == [False, True]

    at = ("--url", api.url, "--token", api.token)
    given = await run("user", "password", "alice", "--password-stdin", *at, data=tmp_path, typed=f"{OLD}\n")
    assert given == Ended(0, "User alice has another password; 1 sessions have ended\n", "")
    assert [await may_sign_in(api, one) for one in (OLD, NEW)] == [True, False]


async def waiting_for_a_lock(connection: Connection) -> bool:
    waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'FROM users')"
    return bool(await connection.fetchval(waiting))


@pytest.mark.parametrize("change", ["DELETE FROM users WHERE name = 'alice'", "UPDATE users SET password_hash = 'x'"])
async def test_a_sign_in_under_way_makes_no_session_after_the_user_was_changed(
    api: Api, database: Database, change: str
) -> None:
    async with database.connection() as watching, api.client("") as browser:
        async with database.transaction() as connection:
            await connection.execute(change)
            body = {"username": "alice", "password": OLD}
            signing_in = asyncio.create_task(browser.post("/session", json=body))
            await eventually(lambda: waiting_for_a_lock(watching), "the sign-in waits for the user's row")
        answer = await signing_in
        assert answer.status_code == 401
        assert answer.json()["message"] == "You were removed or changed at this moment; sign in again"
        assert not browser.cookies
        assert await watching.fetchval("SELECT count(*) FROM sessions") == 0
