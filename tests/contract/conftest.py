"""Fixtures of tests that talk to Redis as the services do."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from signalbox.bus.connection import connect
from support.stores import server


@pytest.fixture
async def redis(valkey: server.Redis) -> AsyncIterator[Redis]:
    """A client of the test's own server."""
    client = connect(valkey.url)
    yield client
    await client.aclose()
