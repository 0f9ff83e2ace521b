"""Who may do what: nobody, wrong tokens, roles, sessions and their CSRF token, and what is revoked."""

import hashlib
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from redis.asyncio import Redis as Client
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from signalbox.errors import DatabaseUnavailable
from signalbox.postgres.pool import Database
from signalbox_api.auth.throttle import PAIR_TRIES
from signalbox_api.services import Services
from support.api import ADMIN, PASSWORD, Api, an_answering_host, an_api, put_task, says
from support.eventually import eventually
from support.route_table import ROLES, Line, read_table
from support.stores.server import Postgres, Redis

LINES = read_table()
#: What stands for a part of a path; nothing has this name.
ANY = {"task_id": str(uuid4()), "token_id": "0123456789abcdef", "name": "nobody.at.all", "path": "nothing.js"}


@pytest.fixture
async def api(valkey: Redis, database_url: str) -> AsyncIterator[Api]:
    async with an_api(valkey.url, database_url) as running:
        yield running


def message(answer: httpx.Response) -> str:
    body = answer.json()
    assert body["status"] == "error"
    return str(body["message"])


async def asked(client: httpx.AsyncClient, line: Line, **headers: str) -> httpx.Response:
    """The answer to a call of this line; of the websocket, to its handshake.

    No route takes this body, so that whoever may call it is answered 422, and nothing is done.
    """
    path = line.path.replace(":path}", "}").format(**ANY)
    if line.method != "WS":
        headers = {"Content-Type": "application/json", **headers}
        return await client.request(line.method, path, content=b"[]", headers=headers)
    shown = {**dict(client.headers), "Cookie": "; ".join(f"{name}={one}" for name, one in client.cookies.items())}
    shown = {name: shown[name] for name in ("authorization", "Cookie") if shown.get(name)} | headers
    url = str(client.base_url).replace("http", "ws", 1).rstrip("/") + path
    try:
        async with connect(url, additional_headers=shown, proxy=None):
            return httpx.Response(101)
    except InvalidStatus as refused:
        return httpx.Response(refused.response.status_code, content=bytes(refused.response.body))


def verdict(answer: httpx.Response) -> str:
    """What the table calls it."""
    return str(answer.status_code) if answer.status_code in {401, 403} else "yes"


@pytest.mark.parametrize("role", ["", *ROLES])
async def test_each_token_is_answered_what_the_table_says(api: Api, role: str) -> None:
    token = (await api.make_token(role))["token"] if role else ""
    async with api.client(token) as client:
        answers = [(line, await asked(client, line)) for line in LINES]
    for line, answer in answers:
        assert verdict(answer) == line.may(role or "nobody"), (line, answer.text)
        if answer.status_code == 401:
            assert message(answer)
        if answer.status_code == 403:
            assert f"has the role {role}; this needs the role " in message(answer)


@pytest.mark.parametrize("role", ROLES)
async def test_each_session_is_answered_what_the_table_says_and_needs_its_csrf_token(api: Api, role: str) -> None:
    person = {"name": f"a.{role}", "role": role, "password": "a password of theirs"}
    async with api.client() as admin:
        (await admin.post("/scheduler/users/", json=person)).raise_for_status()
    async with api.client("") as browser:
        csrf = await api.sign_in(browser, person["name"], person["password"])
        for line in LINES:
            if line.csrf:
                assert verdict(await asked(browser, line)) == "403", line
        for line in sorted(LINES, key=lambda one: (one.method, one.path) == ("DELETE", "/session")):  # that one ends it
            proof = {"Origin": api.url} if line.method == "WS" else {"X-CSRF-Token": csrf}
            answer = await asked(browser, line, **(proof if line.csrf else {}))
            assert verdict(answer) == line.may(role, session=True), (line, answer.text)


@pytest.mark.parametrize("wrong", ["sbt_0123456789abcdef_" + "x" * 43, "revoked"])
async def test_no_line_takes_a_token_that_is_not_valid(api: Api, wrong: str) -> None:
    if wrong == "revoked":
        made = await api.make_token("admin")
        async with api.client() as admin:
            await admin.delete(f"/scheduler/tokens/{made['token_id']}/")
        wrong = made["token"]
    async with api.client(wrong) as client:
        for line in LINES:
            if line.may("nobody") == "401":
                answer = await asked(client, line)
                assert answer.status_code == 401, line
                assert message(answer).startswith("This token is not valid")


async def test_without_a_token_it_is_said_what_to_do(api: Api) -> None:
    async with api.client("") as nobody:
        answer = await nobody.get("/scheduler/tasks/")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert message(answer).startswith("Sign in first")


@pytest.mark.parametrize(
    "token", ["nonsense", "sbt_0123456789abcdef_" + "x" * 43, "sbs_" + "0" * 16 + "_" + "A" * 43, "\u00e4"]
)
async def test_a_wrong_token_is_401(api: Api, token: str) -> None:
    async with api.client("") as client:
        answer = await client.get("/scheduler/tasks/", headers={b"Authorization": b"Bearer " + token.encode()})
    assert answer.status_code == 401
    assert message(answer).startswith("This token is not valid")


async def test_alive_is_all_that_strangers_learn(api: Api) -> None:
    async with api.client("") as nobody:
        assert (await nobody.get("/healthz")).json() == {"status": "ok"}
        assert (await nobody.get("/readyz")).json() == {"status": "ready"}
        assert (await nobody.get("/")).status_code == 200


async def test_a_browser_signs_in_looks_around_and_out(api: Api) -> None:
    async with api.client("") as browser:
        csrf = await api.sign_in(browser)
        who = await browser.get("/session")
        assert who.json() == {"user": {"name": ADMIN, "role": "admin"}, "csrf": csrf}
        assert browser.cookies["signalbox_csrf"] == csrf
        kept = dict(browser.cookies)
        out = await browser.delete("/session", headers={"X-CSRF-Token": csrf})
        assert out.status_code == 200
        assert not browser.cookies
        browser.cookies.update(kept)
        again = await browser.get("/session")
    assert again.status_code == 401
    assert message(again).startswith("Your session is not valid")


async def test_the_cookies_keep_to_this_site_and_the_session_to_the_browser(api: Api) -> None:
    async with api.client("") as browser:
        answer = await browser.post("/session", json={"username": ADMIN, "password": PASSWORD})
    session, csrf = (cookie.lower() for cookie in answer.headers.get_list("set-cookie"))
    assert "httponly" in session
    assert "httponly" not in csrf
    for cookie in (session, csrf):
        assert "samesite=strict" in cookie
        assert "path=/" in cookie
        assert "secure" not in cookie


async def test_what_changes_something_needs_the_csrf_token(api: Api, database: Database, valkey: Redis) -> None:
    path = f"/scheduler/cancel-task/{await put_task(database)}/"
    async with api.client("") as browser, an_answering_host(valkey.url, says("cancelled")) as heard:
        csrf = await api.sign_in(browser)
        for headers in ({}, {"X-CSRF-Token": "wrong"}, {"X-CSRF-Token": ""}):
            answer = await browser.post(path, headers=headers)
            assert answer.status_code == 403
            assert "X-CSRF-Token is missing or wrong" in message(answer)
        foreign = {"X-CSRF-Token": csrf, "Origin": "https://evil.example"}
        answer = await browser.post(path, headers=foreign)
        assert (answer.status_code, message(answer)[:37]) == (403, "This request came from another site, ")
        assert not heard
        assert (await browser.post(path, headers={"X-CSRF-Token": csrf})).status_code == 200


async def test_another_site_cannot_sign_a_browser_in(api: Api) -> None:
    async with api.client("") as browser:
        answer = await browser.post(
            "/session", json={"username": ADMIN, "password": PASSWORD}, headers={"Origin": "https://evil.example"}
        )
    assert answer.status_code == 403
    assert not browser.cookies


async def test_an_unknown_user_and_a_wrong_password_are_answered_alike(api: Api) -> None:
    async with api.client("") as browser:
        answers = [
            await browser.post("/session", json={"username": user, "password": "wrong password"})
            for user in (ADMIN, "nobody")
        ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].json() == answers[1].json()


async def test_guessing_passwords_is_stopped_and_says_for_how_long(api: Api) -> None:
    async with api.client("") as browser:
        for _ in range(PAIR_TRIES):
            answer = await browser.post("/session", json={"username": ADMIN, "password": "wrong password"})
            assert answer.status_code == 401
        answer = await browser.post("/session", json={"username": ADMIN, "password": PASSWORD})
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 300
        assert message(answer).startswith("Too many tries to sign in")


async def test_a_revoked_token_is_refused_at_once_and_stays_so(api: Api, valkey: Redis) -> None:
    made = await api.make_token("viewer")
    async with api.client(made["token"]) as client, api.client() as admin:
        assert (await client.get("/scheduler/tasks/")).status_code == 200
        assert (await admin.delete(f"/scheduler/tokens/{made['token_id']}/")).status_code == 200
        assert (await client.get("/scheduler/tasks/")).status_code == 401
        async with Client.from_url(valkey.url) as redis:
            await redis.flushall()
        assert (await client.get("/scheduler/tasks/")).status_code == 401


async def test_a_token_that_was_revoked_without_the_database_stays_revoked(
    api: Api, valkey: Redis, database_url: str, database: Database, postgres_server: Postgres
) -> None:
    made = await api.make_token("viewer")
    async with (
        an_api(valkey.url, database_url) as another,
        api.client(made["token"]) as here,
        another.client(made["token"]) as there,
    ):
        assert (await there.get("/session")).status_code == 200
        await postgres_server.stop()
        try:
            assert (await here.get("/session")).status_code == 200
            async with another.client() as admin:
                answer = await admin.delete(f"/scheduler/tokens/{made['token_id']}/")
            assert answer.status_code == 200
            assert (await here.get("/session")).status_code == 401
            assert (await there.get("/session")).status_code == 401
        finally:
            await postgres_server.start()

        async def recorded() -> bool:
            async with database.connection() as connection:
                query = "SELECT revoked_at IS NOT NULL FROM api_tokens WHERE token_id = $1"
                return bool(await connection.fetchval(query, made["token_id"]))

        await eventually(recorded, "PostgreSQL knows of the end")
        async with Client.from_url(valkey.url) as redis:
            await redis.flushall()
        assert (await here.get("/session")).status_code == 401
        assert (await there.get("/session")).status_code == 401


async def test_a_redis_that_comes_back_with_an_old_memory_revives_nobody(
    api: Api, valkey: Redis, database_url: str
) -> None:
    made = await api.make_token("viewer")
    async with Client.from_url(valkey.url) as redis:
        key = f"signalbox:credential:{hashlib.sha256(made['token'].encode()).hexdigest()}"
        before = await redis.get(key)
        assert before
        async with api.client() as admin:
            await admin.delete(f"/scheduler/tokens/{made['token_id']}/")
        await redis.flushall()
        await redis.set(key, before)
    async with an_api(valkey.url, database_url) as another, another.client(made["token"]) as client:

        async def refused() -> bool:
            return (await client.get("/session")).status_code == 401

        await eventually(refused, "the revoked token is refused")


async def test_who_is_signed_in_stays_so_without_redis(api: Api, valkey: Redis) -> None:
    async with api.client("") as browser, api.client() as program:
        await api.sign_in(browser)
        await valkey.stop()
        try:
            assert (await browser.get("/session")).status_code == 200
            assert (await program.get("/scheduler/tasks/")).status_code == 200
            late = await browser.post("/session", json={"username": ADMIN, "password": PASSWORD})
        finally:
            await valkey.start()
    assert late.status_code == 503
    assert message(late).startswith("Redis does not answer")


async def test_an_empty_redis_learns_again_who_may_act(api: Api, valkey: Redis, postgres_server: Postgres) -> None:
    async with Client.from_url(valkey.url) as redis:
        await redis.flushall()

        async def mirrored() -> bool:
            return bool(await redis.exists("signalbox:credentials:mirrored"))

        await eventually(mirrored, "Redis knows the credentials")
    await postgres_server.stop()
    try:
        async with api.client() as client:
            assert (await client.get("/session")).status_code == 200
    finally:
        await postgres_server.start()


async def test_a_user_who_is_removed_is_out_at_once(api: Api) -> None:
    person = {"name": "alice", "role": "operator", "password": "a password of hers"}
    async with api.client() as admin, api.client("") as browser:
        made = await admin.post("/scheduler/users/", json=person)
        assert made.json()["message"] == "User alice may sign in as operator"
        assert (await admin.post("/scheduler/users/", json=person)).status_code == 409
        await api.sign_in(browser, "alice", person["password"])
        assert (await browser.get("/session")).json()["user"] == {"name": "alice", "role": "operator"}
        assert (await admin.delete("/scheduler/users/alice/")).status_code == 200
        assert (await browser.get("/session")).status_code == 401
        assert (await admin.delete("/scheduler/users/alice/")).status_code == 404
        names = [user["name"] for user in (await admin.get("/scheduler/users/")).json()["items"]]
    assert names == [ADMIN]


async def test_secrets_are_kept_nowhere(api: Api, database: Database, valkey: Redis) -> None:
    made = await api.make_token("viewer")
    secret = made["token"].rpartition("_")[2]
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT api_tokens::text AS row FROM api_tokens")
    async with Client.from_url(valkey.url) as redis:
        keys = [key async for key in redis.scan_iter()]
        values = [await redis.get(key) for key in keys if await redis.type(key) == b"string"]
    assert not [row for row in rows if secret in row["row"]]
    assert not [text for text in [*keys, *values] if secret.encode() in (text or b"")]


async def test_the_record_cannot_be_written_even_by_a_mistake(api: Api, database: Database) -> None:
    await put_task(database)
    services: Services = api.app.state.services
    for pool in (services.newest, services.record, services.urgent):
        with pytest.raises(DatabaseUnavailable, match="read-only transaction"):
            await pool.read(lambda connection: connection.execute("DELETE FROM tasks"))
