"""Who may do what: nobody, wrong tokens, roles, sessions and their CSRF token, and what is revoked."""

import hashlib
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from redis.asyncio import Redis as Client

from signalbox.errors import DatabaseUnavailable
from signalbox.postgres.pool import Database
from signalbox_api.auth.throttle import PAIR_TRIES
from signalbox_api.services import Services
from support.api import ADMIN, PASSWORD, Api, an_answering_host, an_api, put_task, says
from support.eventually import eventually
from support.stores.server import Postgres, Redis

TASK = f"/scheduler/cancel-task/{uuid4()}/"
#: One of each kind, with the least role that it needs.
CALLS = [
    ("GET", "/scheduler/tasks/", "viewer"),
    ("GET", f"/scheduler/tasks/{uuid4()}/logs/", "viewer"),
    ("GET", "/scheduler/celery-status/", "viewer"),
    ("GET", "/scheduler/commands/", "viewer"),
    ("GET", "/metrics", "viewer"),
    ("GET", "/docs", "viewer"),
    ("GET", "/openapi.json", "viewer"),
    ("POST", TASK, "operator"),
    ("POST", "/scheduler/stop-celery/", "operator"),
    ("POST", "/scheduler/start-celery/", "operator"),
    ("POST", "/scheduler/restart-celery/", "operator"),
    ("GET", "/scheduler/tokens/", "admin"),
    ("POST", "/scheduler/tokens/", "admin"),
    ("DELETE", "/scheduler/tokens/0123456789abcdef/", "admin"),
    ("GET", "/scheduler/users/", "admin"),
    ("POST", "/scheduler/users/", "admin"),
]
BELOW = {"operator": "viewer", "admin": "operator"}


@pytest.fixture
async def api(valkey: Redis, database_url: str) -> AsyncIterator[Api]:
    async with an_api(valkey.url, database_url) as running:
        yield running


def message(answer: httpx.Response) -> str:
    body = answer.json()
    assert body["status"] == "error"
    return str(body["message"])


async def test_without_a_token_every_call_is_401_and_says_what_to_do(api: Api) -> None:
    async with api.client("") as nobody:
        for method, path, _ in CALLS:
            answer = await nobody.request(method, path)
            assert answer.status_code == 401, path
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


async def test_each_role_is_refused_what_is_above_it(api: Api) -> None:
    tokens = {role: (await api.make_token(role))["token"] for role in ("viewer", "operator")}
    for method, path, needed in CALLS:
        if needed not in BELOW:
            continue
        async with api.client(tokens[BELOW[needed]]) as client:
            answer = await client.request(method, path)
        assert answer.status_code == 403, path
        assert f"has the role {BELOW[needed]}; this needs the role {needed}" in message(answer)


async def test_a_viewer_may_look_at_everything(api: Api) -> None:
    async with api.client((await api.make_token("viewer"))["token"]) as viewer:
        seen = {path: (await viewer.get(path)).status_code for _, path, needed in CALLS if needed == "viewer"}
    assert {status for path, status in seen.items() if "logs" not in path} == {200}


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
