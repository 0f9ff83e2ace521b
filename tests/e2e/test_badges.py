"""Badges follow the truth and never precede it; how fast they follow is measured by `benchmarks/badges.py`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from support.badges import measure
from support.browser import Windows
from support.stores.choose import a_redis
from support.stores.databases import a_database
from support.stores.rabbit import RabbitMQ
from support.stores.server import Postgres
from support.system import System, a_system

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROUNDS = 2


@pytest_asyncio.fixture(loop_scope="session")
async def system_on_rabbitmq(
    tmp_path: Path, postgres_server: Postgres, rabbit_server: RabbitMQ
) -> AsyncIterator[System]:
    """A whole Signalbox whose application has RabbitMQ as its broker."""
    broker = rabbit_server.url_of(rabbit_server.next_place())
    async with (
        a_redis(tmp_path) as redis,
        a_database(postgres_server) as database,
        a_system(tmp_path / "data", postgres_server, redis, database, broker=broker) as system,
    ):
        yield system


async def test_badges_turn_and_never_before_it_is_true(page: Page, system: System) -> None:
    late = await measure(system, page, ROUNDS)
    assert late.true, late.report()


async def test_badges_turn_with_rabbitmq_too(browser: Browser, system_on_rabbitmq: System) -> None:
    windows = Windows(browser, system_on_rabbitmq.url)
    try:
        page = await windows.open_as(*system_on_rabbitmq.admin)
        late = await measure(system_on_rabbitmq, page, ROUNDS)
        assert late.true, late.report()
        assert not windows.faults
    finally:
        await windows.close()
