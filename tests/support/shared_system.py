"""Fixtures of a whole Signalbox, for the `conftest.py` of a folder whose tests use one.

The shared one ends when a process has run its last test of that folder: idle, it takes a tenth of a core.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from support.stores.choose import a_redis
from support.stores.databases import a_database
from support.stores.server import Postgres
from support.system import System, a_system


@asynccontextmanager
async def _new_system(folder: Path, postgres: Postgres) -> AsyncIterator[System]:
    async with (
        a_redis(folder) as redis,
        a_database(postgres) as database,
        a_system(folder / "data", postgres, redis, database) as system,
    ):
        yield system


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def shared_system(tmp_path_factory: pytest.TempPathFactory, postgres_server: Postgres) -> AsyncIterator[System]:
    """For the fixture `system` only."""
    async with _new_system(tmp_path_factory.mktemp("system"), postgres_server) as system:
        yield system


@pytest.fixture
async def system(shared_system: System) -> System:
    """A whole Signalbox, whole again whatever the test before did to it; shared, so look only at tasks of your own."""
    await shared_system.make_whole()
    return shared_system


@pytest.fixture
async def fresh_system(tmp_path: Path, postgres_server: Postgres) -> AsyncIterator[System]:
    """A whole Signalbox with an empty record, for this test alone; it takes some seconds to start."""
    async with _new_system(tmp_path, postgres_server) as system:
        yield system
