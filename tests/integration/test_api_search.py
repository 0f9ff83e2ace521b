"""Search over HTTP: what it finds, what it says where it cannot, and that it holds up nobody."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from signalbox.messages.base import utc_now
from signalbox.postgres.pool import Database
from signalbox_api.app import SEARCH_CONNECTIONS
from signalbox_api.record import search
from support.api import Api, Json, an_api, ended, put_task
from support.eventually import HANGS
from support.stores.server import Redis

CHARGE, REFUND, MAIL = (f"{digit}{digit}{digit}{digit}0000-0000-4000-8000-000000000000" for digit in "abc")


@pytest.fixture
async def api(valkey: Redis, database_url: str) -> AsyncIterator[Api]:
    async with an_api(valkey.url, database_url) as running:
        yield running


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as admin:
        yield admin


@pytest.fixture
async def shop(database: Database) -> None:
    """Three tasks: one runs, one failed, one completed."""
    await put_task(database, CHARGE, name="charge", celery_name="shop.money.charge", args="('order-4711',)")
    await put_task(
        database,
        REFUND,
        name="refund",
        celery_name="shop.money.refund",
        **ended("error", "ValueError: no stock for 4712"),
    )
    await put_task(
        database, MAIL, name="mail", celery_name="shop.mail", kwargs="{'to': 'a@b.example'}", **ended("succeeded")
    )


async def found(client: httpx.AsyncClient, **query: str) -> set[str]:
    answer = (await client.get("/scheduler/tasks/", params=query)).raise_for_status().json()
    return {task["name"] for task in answer["items"]}


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"q": "ReFu"}, {"refund"}),
        ({"q": "shop.money"}, {"charge", "refund"}),
        ({"q": "no stock"}, {"refund"}),
        ({"q": "NO STOCK"}, {"refund"}),
        ({"q": "order-47"}, {"charge"}),
        ({"q": "b.example"}, {"mail"}),
        ({"q": "471"}, {"charge", "refund"}),
        ({"q": "471", "status": "failed"}, {"refund"}),
        ({"q": "471", "status": "running"}, {"charge"}),
        ({"q": "471", "outcome": "cancelled"}, set()),
        ({"q": "bbbb0000"}, {"refund"}),
        ({"q": "BBBB"}, {"refund"}),
        ({"q": CHARGE.upper()}, {"charge"}),
        ({"q": CHARGE, "status": "failed"}, set()),
        ({"q": CHARGE.replace("a", "d")}, set()),
        ({"q": "a"}, {"charge", "mail"}),
        ({"q": "%"}, set()),
    ],
)
async def test_a_search_looks_at_names_ids_errors_and_arguments(
    client: httpx.AsyncClient, query: dict[str, str], names: set[str]
) -> None:
    assert await found(client, **query) == names


async def test_what_is_found_comes_newest_first_page_by_page_without_gap_or_repetition(
    client: httpx.AsyncClient, database: Database
) -> None:
    now, expected = utc_now(), []
    for age in range(9):
        over = ended("error", "order-1 is gone") if age % 2 else {"args": "('order-1',)"}
        name = {"name": "order-1", "celery_name": "order-1"} if age % 3 == 0 else {}
        expected.append(await put_task(database, created_at=now - timedelta(seconds=age), **over, **name))
    seen: list[str] = []
    after: Json = {}
    while True:
        answer = await client.get("/scheduler/tasks/", params={"q": "order-1", "limit": "2", **after})
        page = answer.raise_for_status().json()
        seen += [task["task_id"] for task in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == expected


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("few", [0, 1])
async def test_what_many_tasks_have_is_found_as_well(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(search, "NEWEST", 1)
    monkeypatch.setattr(search, "FEW", few)
    monkeypatch.setattr(search, "FEW_NAMES", few)
    assert await found(client, q="471") == {"charge", "refund"}
    assert await found(client, q="shop.money") == {"charge", "refund"}


@pytest.mark.usefixtures("shop")
async def test_a_cancel_of_what_is_found_hits_the_open_tasks_of_the_list(client: httpx.AsyncClient) -> None:
    for q, total in (("471", 1), ("order-4711", 1), ("aaaa", 1), ("shop.money", 1), ("no stock", 0)):
        body = {"filter": {"q": q}, "dry_run": True}
        preview = (await client.post("/scheduler/cancel-tasks/", json=body)).raise_for_status().json()
        assert (q, preview["matched"]) == (q, total)


@pytest.mark.usefixtures("shop")
async def test_without_the_index_a_search_finds_names_and_ids_and_says_so(
    client: httpx.AsyncClient, database: Database
) -> None:
    async with database.connection() as connection:
        await connection.execute("DROP EXTENSION pg_trgm CASCADE")
    answer = (await client.get("/scheduler/tasks/", params={"q": "471"})).raise_for_status().json()
    assert answer["items"] == []
    assert answer["note"].startswith("Found by name and by the beginning of the id only")
    assert await found(client, q="refund") == {"refund"}
    assert await found(client, q="bbbb") == {"refund"}


@pytest.mark.usefixtures("shop")
async def test_a_search_that_takes_too_long_is_too_broad_and_holds_up_no_list(
    client: httpx.AsyncClient, database: Database
) -> None:
    async with database.transaction() as connection, asyncio.timeout(HANGS):
        await connection.execute("LOCK TABLE task_counts")  # of what the shop has, only searches read it
        searches = [
            asyncio.create_task(client.get("/scheduler/tasks/", params={"q": "no such"}))
            for _ in range(4 * SEARCH_CONNECTIONS)
        ]
        assert await found(client) == {"charge", "refund", "mail"}
        assert await found(client, status="failed") == {"refund"}
        answers = await asyncio.gather(*searches)
    for answer in answers:
        assert (answer.status_code, answer.json()["message"].partition(":")[0]) == (
            422,
            "The search is too broad for a record of this size",
        )
    ready = (await client.get("/readyz")).json()
    assert ready["parts"]["database"]["ok"]
    assert await found(client, q="refund") == {"refund"}
