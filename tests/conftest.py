"""Fixtures that every test can use: real stores."""

import os
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
import pytest_asyncio

from signalbox.postgres.pool import Database, open_database
from support.log_tails import log_tails
from support.parallel import RABBIT, pytest_collection_modifyitems, pytest_xdist_make_scheduler
from support.stores.choose import a_postgres, a_rabbit, a_redis
from support.stores.databases import a_database, migrate_all
from support.stores.rabbit import RabbitMQ
from support.stores.server import Postgres, Redis
from support.system import System

#: Tests read and write the keys of the example's broker by their plain names; `make up` sets a prefix of its own.
os.environ["SHOP_KEY_PREFIX"] = ""

#: Hooks that stand in a module of their own.
__all__ = ["pytest_collection_modifyitems", "pytest_xdist_make_scheduler"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failure what the services of its system logged last."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for fixture in ("shared_system", "fresh_system"):
            system = item.funcargs.get(fixture)
            if isinstance(system, System):
                report.sections.extend(log_tails(system.data / "logs"))
    return report


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    """One PostgreSQL for all tests. A test that stops it must start it again."""
    async with a_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def migrated_template(postgres_server: Postgres) -> AsyncIterator[str]:
    """The database that the others are copied from."""
    async with a_database(postgres_server) as name:
        await migrate_all(postgres_server.url_of(name))
        yield name


@pytest.fixture
async def database_url(postgres_server: Postgres, migrated_template: str) -> AsyncIterator[str]:
    """The address of a migrated database of the test's own."""
    async with a_database(postgres_server, template=migrated_template) as name:
        yield postgres_server.url_of(name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The same as a pool."""
    async with open_database(database_url) as pool:
        yield pool


@pytest.fixture
async def empty_database_url(postgres_server: Postgres) -> AsyncIterator[str]:
    """The address of a database of the test's own, without any table."""
    async with a_database(postgres_server) as name:
        yield postgres_server.url_of(name)


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[Redis]:
    """A Redis or Valkey of the test's own, which it may stop, start and kill."""
    async with a_redis(tmp_path / "redis") as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def rabbit_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RabbitMQ]:
    """For the fixture `rabbit`, and fixtures of a wider scope. Who uses it has `rabbit` in its id (`parallel.py`)."""
    async with a_rabbit(tmp_path_factory.mktemp("rabbit")) as server:
        yield server


@pytest.fixture
async def rabbit(rabbit_server: RabbitMQ, request: pytest.FixtureRequest) -> RabbitMQ:
    """One RabbitMQ for all tests, each on a place of its own (`next_place`); it may stop, start and kill it."""
    assert RABBIT in request.node.nodeid, "name the test so that it runs beside the others with RabbitMQ (parallel.py)"
    if not rabbit_server.child.running:
        await rabbit_server.start()
    return rabbit_server
