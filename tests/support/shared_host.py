"""Fixtures of a host for tests that only look at it, or at tasks of their own; for a test file, not for `conftest.py`.

A test that uses it runs in the loop of its module: `@LOOKS`.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from signalbox.messages.events import TaskStarted
from support.host import ALICE, Host, a_host
from support.stores.choose import a_redis

LOOKS = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host_of_all(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    """For the fixture `shared_host` only."""
    folder = tmp_path_factory.mktemp("shared")
    async with a_redis(folder / "redis") as redis, a_host(folder / "host", redis) as one:
        await one.process_is("worker", "running")
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def shared_host(host_of_all: Host) -> AsyncIterator[Host]:
    """A host whose worker runs; free of tasks again after each test."""
    before = len(await host_of_all.of(TaskStarted))
    yield host_of_all
    left = [started.task_id for started in (await host_of_all.of(TaskStarted))[before:]]
    if left:
        await host_of_all.commander.cancel_many(left, ALICE)
