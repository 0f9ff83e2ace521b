"""Lists are compressed for whoever takes that; what is small, streamed or of another kind is not."""

from collections.abc import AsyncIterator

import pytest

from signalbox.postgres.pool import Database
from signalbox_api.record import views
from support.api import Api, an_api, put_task
from support.stores.server import Redis


@pytest.fixture
async def api(valkey: Redis, database_url: str) -> AsyncIterator[Api]:
    async with an_api(valkey.url, database_url) as running:
        yield running


async def test_a_list_is_compressed_for_whoever_takes_gzip(api: Api, database: Database) -> None:
    for _ in range(20):
        await put_task(database)
    bodies = []
    async with api.client() as client:
        for coding in ("gzip", "identity"):
            answer = await client.get("/scheduler/tasks/", headers={"Accept-Encoding": coding})
            bodies.append([task["task_id"] for task in answer.json()["items"]])
            assert answer.headers.get("content-encoding") == ("gzip" if coding == "gzip" else None)
            assert answer.headers["vary"] == "Accept-Encoding"
        small = await client.get("/scheduler/task-counts/", headers={"Accept-Encoding": "gzip"})
        session = await client.get("/session", headers={"Accept-Encoding": "gzip"})
    assert bodies[0] == bodies[1]
    assert len(bodies[0]) == 20
    assert "content-encoding" not in {*small.headers, *session.headers}


async def test_a_list_that_is_cut_says_so(api: Api, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MOST", 1)
    async with database.connection() as connection:
        for name in ("web-01", "web-02"):
            await connection.execute(
                "INSERT INTO hosts (name, state, seen_at, at, proof_detail) VALUES ($1, 'online', now(), now(), '')",
                name,
            )
    async with api.client() as client:
        status = (await client.get("/scheduler/celery-status/")).json()
    assert ([host["name"] for host in status["hosts"]], status["note"]) == (
        ["web-01"],
        "There are more hosts than the 1 that are listed.",
    )
