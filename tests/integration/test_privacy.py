"""What an application wants redacted or hidden leaves its worker nowhere: not to Redis, the record, or a file."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis as Connection

from signalbox.messages.events import TaskFailed, TaskRetried, TaskSucceeded
from support.host import Host, a_host
from support.reconciler import Recording, a_recording
from support.stores.server import Redis

SECRET = "hunter-7f3a"
CONFIGURATION = """
[apps.redacting]
app = "secretive"
directory = "{apps}"
[apps.redacting.environment]
SHOP_BROKER_URL = "${{SHOP_BROKER_URL}}"
[apps.redacting.privacy]
redact = ['(?i)password\\W+[\\w-]+']
[[apps.redacting.workers]]
name = "redacting"
queues = ["redacting"]
concurrency = 1
pool = "{{pool}}"

[apps.hiding]
app = "secretive"
directory = "{apps}"
[apps.hiding.environment]
SHOP_BROKER_URL = "${{SHOP_BROKER_URL}}"
[apps.hiding.privacy]
arguments = "hidden"
[[apps.hiding.workers]]
name = "hiding"
queues = ["hiding"]
concurrency = 1
"""


@pytest.fixture(params=["prefork", "threads"])
async def host(request: pytest.FixtureRequest, valkey: Redis, tmp_path: Path) -> AsyncIterator[Host]:
    configuration = CONFIGURATION.replace("{{pool}}", request.param)
    async with a_host(tmp_path / "host", valkey, configuration) as one:
        await one.process_is("redacting", "running")
        await one.process_is("hiding", "running")
        yield one


@pytest.fixture
async def recording(valkey: Redis, database_url: str, tmp_path: Path) -> AsyncIterator[Recording]:
    async with a_recording(valkey, database_url, tmp_path) as one:
        yield one


def send(host: Host, name: str, queue: str) -> str:
    return str(host.celery.send_task(name, ("alice",), {"password": SECRET}, queue=queue, ignore_result=True).id)


async def everything(redis: Connection) -> str:
    """All that this database holds, in bytes as they are stored, whatever its kind."""
    found = [await redis.dump(key) for key in await redis.keys("*")]
    entries = [await redis.xrange(key) for key in await redis.keys("*") if await redis.type(key) == b"stream"]
    return repr((found, entries))


async def rows(recording: Recording) -> str:
    """All rows of all tables."""
    named = "SELECT tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    tables = [row["tablename"] for row in await recording.rows(named)]
    assert "tasks" in tables
    return repr([await recording.rows(f'SELECT * FROM "{table}"') for table in tables])  # noqa: S608


def files(folder: Path) -> str:
    """The content of all files below a folder."""
    return repr([path.read_bytes() for path in folder.rglob("*") if path.is_file()])


async def test_a_secret_is_nowhere_but_with_the_application(host: Host, recording: Recording) -> None:
    done = await host.seen(TaskSucceeded, task_id=send(host, "pays", "redacting"))
    failed = await host.seen(TaskFailed, task_id=send(host, "fails", "redacting"))
    again = send(host, "tries_again", "redacting")
    retried, given_up = await host.seen(TaskRetried, task_id=again), await host.seen(TaskFailed, task_id=again)
    assert done.result == "'result of alice, [redacted]'"
    for ended in (failed, retried, given_up):
        assert ended.error == "ValueError: error of alice, [redacted]"
        assert "error of alice, [redacted]" in ended.traceback
    # Whoever looks at the right places finds the rest of the texts there.
    on_bus, on_disk = await everything(host.redis), files(host.data)
    assert "error of alice, [redacted]" in on_bus
    for text in ("log of alice, [redacted]", "print of alice, [redacted]", "error of alice, [redacted]"):
        assert text in on_disk
    await recording.start()
    await recording.nothing_pending()
    recorded = await rows(recording)
    assert "error of alice, [redacted]" in recorded
    for place in (on_bus, on_disk, recorded, await everything(host.redis)):
        assert SECRET not in place


async def test_hidden_arguments_are_not_sent(host: Host) -> None:
    done = await host.seen(TaskSucceeded, task_id=send(host, "pays", "hiding"))
    received = [event for event in await host.events() if getattr(event, "task_id", "") == done.task_id]
    assert {(getattr(event, "args", ""), getattr(event, "kwargs", "")) for event in received} == {("", "")}
    assert SECRET in done.result  # only arguments were to be hidden
