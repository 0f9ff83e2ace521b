"""Fixtures of several test files: a worker with the agent, whose controller the test plays, and the record of hosts."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from signalbox.postgres.pool import Database
from support.agent.peer import Peer
from support.agent.worker import Worker, a_worker
from support.host_record import HostRecord
from support.stores.choose import a_redis
from support.stores.server import Redis


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def redis(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Redis]:
    """The one of a test file."""
    async with a_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    """The controller's end of a socket, for one worker of the test's own."""
    peer = Peer(tmp_path / "socket")
    yield peer
    peer.close()


@pytest.fixture(scope="module")
def worker(redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """Two children, shared by the tests of a file, as each looks at tasks of its own only."""
    folder = tmp_path_factory.mktemp("agent")
    with a_worker(Peer(folder / "socket"), redis.url_of(0), folder / "log", "-c", "2") as worker:
        yield worker


@pytest.fixture
def host_record(database: Database) -> HostRecord:
    """What the record makes of hosts, without the service."""
    return HostRecord(database)
