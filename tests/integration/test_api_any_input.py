"""Whatever is sent, the api answers in words, with a status that its own reference has, and never by a mistake.

`make fuzz` tries 600 requests and more of each role; here are some.
"""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from signalbox.postgres.pool import open_database
from support.any_input import try_any_input, try_each_text
from support.api import Api, an_api, put_task
from support.examples import VARIABLE
from support.stores.databases import a_database
from support.stores.server import Postgres, Redis

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Requests of each kind to each operation, of which there are three kinds.
NUMBER = 3


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(redis: Redis, postgres_server: Postgres, migrated_template: str) -> AsyncIterator[Api]:
    """An api with some tasks, and no host that would answer a command."""
    async with a_database(postgres_server, template=migrated_template) as name:
        url = postgres_server.url_of(name)
        async with open_database(url, connections=1) as database:
            for _ in range(3):
                await put_task(database)
        async with an_api(redis.url, url, vouched=False) as running:
            yield running


@pytest.mark.parametrize("role", ["", "viewer", "operator", "admin"])
async def test_no_input_is_answered_by_a_mistake_or_by_what_is_not_documented(api: Api, role: str) -> None:
    token = (await api.make_token(role))["token"] if role else ""
    async with api.client() as admin:
        document = (await admin.get("/openapi.json")).json()
    seen = await asyncio.to_thread(try_any_input, api.url, token, document, NUMBER)
    assert seen.wrong == []
    assert seen.statuses.total() >= 150 * int(os.environ.get(VARIABLE, "1"))


async def test_no_text_at_any_place_of_an_address_is_answered_by_a_mistake(api: Api) -> None:
    async with api.client() as admin:
        document = (await admin.get("/openapi.json")).json()
    seen = await asyncio.to_thread(try_each_text, api.url, api.token, document)
    assert seen.wrong == []
    assert seen.statuses[422] > 10
