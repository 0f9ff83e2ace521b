"""Tasks whose ids are no words of an address, over HTTP; the hosts' part is said on the bus by the test."""

from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest

from signalbox.messages.ids import printable, task_key
from signalbox.postgres.pool import Database
from support.api import Api, an_answering_host, an_api, put_task, says
from support.odd_ids import ODD_IDS
from support.stores.server import Redis


@pytest.fixture
async def api(valkey: Redis, database_url: str) -> AsyncIterator[Api]:
    async with an_api(valkey.url, database_url) as running:
        yield running


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as admin:
        yield admin


async def test_each_id_is_found_by_its_address(client: httpx.AsyncClient, database: Database) -> None:
    """As `quote` writes it; those of dots alone no client of HTTP leaves as they are."""
    for task_id in ODD_IDS.values():
        key = task_key(task_id)
        await put_task(database, key, full_id=None if key == task_id else printable(task_id))
        if task_id in {".", "..", ODD_IDS["like a code"]}:
            continue
        answer = await client.get(f"/scheduler/tasks/{quote(task_id, safe='')}/")
        assert answer.status_code == 200, answer.text
        assert (answer.json()["task_id"], answer.json()["task_key"]) == (task_id, key)
        logs = await client.get(f"/scheduler/tasks/{quote(task_id, safe='')}/logs/")
        assert (logs.json()["items"], logs.json()["next"]) == ([], None)
    first = (await client.get("/scheduler/tasks/", params={"limit": 1})).json()
    rest = (await client.get("/scheduler/tasks/", params={"after": first["next"]})).json()
    assert {one["task_id"] for one in (*first["items"], *rest["items"])} == set(map(task_key, ODD_IDS.values()))


@pytest.mark.parametrize(
    ("sent", "task_id"),
    [
        ("order/7", "order/7"),
        ("order/7/logs", "order/7/logs"),
        ("https://shop/a", "https://shop/a"),
        ("a%2520b", "a%20b"),
        ("base64url:Li4", ".."),
    ],
)
async def test_a_cancel_by_address_is_of_that_task(
    client: httpx.AsyncClient, database: Database, valkey: Redis, sent: str, task_id: str
) -> None:
    """Also behind a proxy that resolves `%2F`."""
    await put_task(database, task_id)
    async with an_answering_host(valkey.url, says("cancelled")):
        answer = await client.post(f"/scheduler/cancel-task/{sent}/", json={})
    assert (answer.status_code, answer.json()["task_id"]) == (200, task_id)


@pytest.mark.parametrize("name", ["3000", "nul"])
async def test_a_task_is_cancelled_by_its_id_and_by_its_key(
    client: httpx.AsyncClient, database: Database, valkey: Redis, name: str
) -> None:
    task_id, key = ODD_IDS[name], task_key(ODD_IDS[name])
    await put_task(database, key)
    async with an_answering_host(valkey.url, lambda _: []) as heard:
        many = await client.post("/scheduler/cancel-tasks/", json={"task_ids": [task_id, key, "nonsense"], "wait": 0})
        await client.post(f"/scheduler/cancel-task/{quote(key, safe='')}/", json={"wait": 0})
    assert [(one["task_id"], one["outcome"]) for one in many.json()["tasks"]] == [
        (key, "unproven"),  # the same task twice
        ("nonsense", "invalid"),
    ]
    assert [getattr(command, "task_ids", None) or command.task_id for command in heard] == [(key,), key]  # type: ignore[attr-defined]


async def test_a_whole_id_is_found_by_searching_for_it(client: httpx.AsyncClient, database: Database) -> None:
    task_id = ODD_IDS["3000"]
    key = await put_task(database, task_key(task_id), full_id=task_id)
    await put_task(database)
    found = (await client.get("/scheduler/tasks/", params={"q": task_id})).json()["items"]
    assert [(one["task_id"], one["full_id"]) for one in found] == [(key, task_id)]
