"""What the record shows over HTTP: lists with their filters, one task, its logs, the audit trail, the pages."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest

from signalbox.messages.base import utc_now
from signalbox.messages.views import LogView, TaskView
from signalbox.postgres.pool import Database
from support.api import Api, Json, an_api, ended, put_task
from support.stores.server import Redis


@pytest.fixture
async def api(valkey: Redis, database_url: str) -> AsyncIterator[Api]:
    async with an_api(valkey.url, database_url) as running:
        yield running


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as admin:
        yield admin


async def get(client: httpx.AsyncClient, path: str, **query: object) -> Json:
    answer = await client.get(path, params={name: str(value) for name, value in query.items()})
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


async def test_tasks_come_newest_first_page_by_page_without_gap_or_repetition(
    client: httpx.AsyncClient, database: Database
) -> None:
    now = utc_now()
    ages = [5, 4, 3, 3, 3, 2, 1]  # some are of the very same moment
    made = [(age, await put_task(database, created_at=now - timedelta(seconds=age))) for age in ages]
    expected = [task for _, task in sorted(made, key=lambda one: (-one[0], one[1]), reverse=True)]
    seen: list[str] = []
    after: Json = {}
    while True:
        page = await get(client, "/scheduler/tasks/", limit=2, **after)
        seen += [task["task_id"] for task in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == expected


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, {"charge", "refund", "100%_sure"}),
        ({"status": "failed"}, {"refund"}),
        ({"outcome": "error"}, {"refund"}),
        ({"name": "charge"}, {"charge"}),
        ({"name": "shop.money.refund"}, {"refund"}),
        ({"name": "shop.orders.refund"}, set()),
        ({"host": "web-02"}, {"refund"}),
        ({"queue": "slow"}, {"100%_sure"}),
        ({"q": "CHAR"}, {"charge"}),
        ({"q": "%_"}, {"100%_sure"}),
        ({"q": "shop.money"}, {"refund"}),
        ({"q": "no such thing"}, set()),
        ({"status": "failed", "q": "charge"}, set()),
    ],
)
async def test_a_list_shows_what_matches_all_filters(
    client: httpx.AsyncClient, database: Database, query: Json, found: set[str]
) -> None:
    await put_task(database, name="charge")
    await put_task(database, name="refund", celery_name="shop.money.refund", host="web-02", **ended("error", "no"))
    await put_task(database, name="100%_sure", celery_name="shop.sure", queue="slow")
    page = await get(client, "/scheduler/tasks/", **query)
    assert {task["name"] for task in page["items"]} == found


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"status": "sleeping"}, "The value of status is not acceptable"),
        ({"limit": "501"}, "The value of limit is not acceptable"),
        ({"after": "nonsense"}, "is not a place in this list"),
        ({"q": "a\x00"}, "The value of q is not acceptable"),
    ],
)
async def test_a_question_that_makes_no_sense_is_422_in_words(
    client: httpx.AsyncClient, query: Json, words: str
) -> None:
    answer = await client.get("/scheduler/tasks/", params=query)
    assert answer.status_code == 422
    assert words in answer.json()["message"]


async def test_a_task_and_its_logs_are_shown_with_every_field(client: httpx.AsyncClient, database: Database) -> None:
    task_id = await put_task(database, **ended("error", "ValueError: no"))
    async with database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO task_logs (task_id, run, attempt, phase, confirmed, precedence, status, outcome, error, retries,
                                   started_at, finished_at)
            SELECT $1, '000' || n, n, 4, true, 1, 'failed', 'error', 'ValueError: no', n - 1, now(), now()
            FROM generate_series(1, 2) AS n
            """,
            task_id,
        )
    task = await get(client, f"/scheduler/tasks/{task_id}/")
    assert set(task) == {*TaskView.__struct_fields__, "task_key", "confirmed_at", "runs"}
    assert task["runs"] == []
    assert (task["status"], task["error"]) == ("failed", "ValueError: no")
    assert task["finished_at"].endswith("Z")
    logs = await get(client, f"/scheduler/tasks/{task_id}/logs/")
    assert [log["attempt"] for log in logs["items"]] == [1, 2]
    assert set(logs["items"][0]) == set(LogView.__struct_fields__)


async def test_a_task_that_has_not_started_has_no_logs_and_an_unknown_one_is_404(
    client: httpx.AsyncClient, database: Database
) -> None:
    task_id = await put_task(database, status="pending", phase=1)
    assert await get(client, f"/scheduler/tasks/{task_id}/logs/") == {"items": [], "next": None, "note": ""}
    for path in (f"/scheduler/tasks/{uuid4()}/", f"/scheduler/tasks/{uuid4()}/logs/", "/scheduler/tasks/%00/"):
        answer = await client.get(path)
        assert answer.status_code == 404
        assert answer.json()["message"].startswith("The record knows no task")


async def test_the_audit_trail_comes_newest_first(client: httpx.AsyncClient, database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO commands (command_id, command, target, issued_by, issued_from, reason, issued_at, expires_at,
                                  answer_by, state, detail)
            SELECT n::text, 'CancelTask', 'a task', 'user:alice', '10.0.0.7', 'why', now() + make_interval(secs => n),
                   now(), now(), 'issued', '' FROM generate_series(1, 3) AS n
            """
        )
    page = await get(client, "/scheduler/commands/", limit=2)
    rest = await get(client, "/scheduler/commands/", limit=2, after=page["next"])
    assert [command["command_id"] for command in page["items"] + rest["items"]] == ["3", "2", "1"]
    assert rest["next"] is None
    assert page["items"][0]["issued_by"] == "user:alice"


async def test_the_status_names_every_host_and_process(client: httpx.AsyncClient, database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO hosts (name, state, seen_at, at, proof, proof_detail)"
            " VALUES ('web-01', 'online', now(), now(), 'search', 'not writable')"
        )
        await connection.execute(
            """
            INSERT INTO processes (host, name, kind, state, desired, instance, node, message, at)
            VALUES ('web-01', 'worker', 'worker', 'running', 'running', '', '', '', now()),
                   ('web-01', 'beat', 'beat', 'stopped', 'running', '', '', '', now())
            """
        )
    status = await get(client, "/scheduler/celery-status/")
    assert (status["celery"], status["worker"], status["beat"]) == ("degraded", "running", "stopped")
    [host] = status["hosts"]
    assert (host["name"], host["state"]) == ("web-01", "online")
    assert (host["proof"], host["proof_detail"]) == ("search", "not writable")
    assert [process["name"] for process in host["processes"]] == ["worker", "beat"]


async def test_pages_come_with_their_type_a_strict_policy_and_are_not_sent_twice(client: httpx.AsyncClient) -> None:
    types = {
        "/": "text/html",
        "/docs": "text/html",
        "/assets/js/main.js": "text/javascript",
        "/assets/css/base.css": "text/css",
        "/assets/mark.svg": "image/svg+xml",
    }
    for path, kind in types.items():
        answer = await client.get(path)
        assert answer.headers["content-type"].startswith(kind)
        assert "default-src 'none'; script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        again = await client.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_what_is_no_page_is_not_served(client: httpx.AsyncClient) -> None:
    for path in ("/assets/../app.py", "/assets/%2e%2e/app.py", "/assets/js/", "/assets/nothing.js", "/nothing"):
        answer = await client.get(path)
        assert answer.status_code == 404, path
        assert answer.json()["status"] == "error"


async def test_json_is_not_kept_by_browsers(client: httpx.AsyncClient) -> None:
    answer = await client.get("/scheduler/tasks/")
    assert answer.headers["cache-control"] == "no-store"


async def test_a_body_that_is_too_large_or_no_json_is_refused_in_words(client: httpx.AsyncClient) -> None:
    path = f"/scheduler/cancel-task/{uuid4()}/"
    large = await client.post(path, content=b"x" * 100_000)
    assert (large.status_code, large.json()["message"]) == (
        413,
        "The body of the request is larger than 64 KiB; send less",
    )
    broken = await client.post(path, content=b"{", headers={"Content-Type": "application/json"})
    assert (broken.status_code, broken.json()["message"][:23]) == (422, "The body is not JSON: E")
    wrong = await client.put(path)
    assert (wrong.status_code, wrong.json()["status"]) == (405, "error")


async def test_the_reference_describes_every_call_and_its_answers(client: httpx.AsyncClient) -> None:
    document = await get(client, "/openapi.json")
    cancel = document["paths"]["/scheduler/cancel-task/{task_id}/"]["post"]
    assert {"200", "202", "401", "403", "404", "409", "422", "503"} <= set(cancel["responses"])
    body = cancel["responses"]["200"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/CancelAnswer"}
    shapes = document["components"]["schemas"]
    assert {"TaskStatus", "LogView", "CeleryStatus", "CancelAnswer", "ErrorAnswer"} <= set(shapes)
    assert set(shapes["TaskStatus"]["properties"]) == {*TaskView.__struct_fields__, "confirmed_at"}


async def test_prometheus_finds_its_numbers(client: httpx.AsyncClient) -> None:
    await client.get("/scheduler/tasks/")
    text = (await client.get("/metrics")).text
    assert 'signalbox_api_requests_total{method="GET",route="/scheduler/tasks/",status="200"} 1' in text
    assert "signalbox_api_database_up 1" in text
    assert "signalbox_api_redis_up 1" in text
