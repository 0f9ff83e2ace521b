"""Reconciler, Redis or PostgreSQL away or frozen: the api says which and since when, claims nothing, and recovers."""

import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import psutil
import pytest

from signalbox.messages.base import utc_now
from signalbox.messages.events import HostSeen, ProcessChanged
from signalbox.postgres.pool import Database
from support.api import Api, Json, an_api, put_task
from support.eventually import eventually
from support.proxy import a_proxy
from support.reconciler import Reconciler, Recording, a_recording
from support.stores.server import Redis

HOST = "web-01"


class Fixture:
    """An api, a reconciler, and a host that reports a running worker whenever anybody looks."""

    def __init__(self, api: Api, recording: Recording, reconciler: Reconciler) -> None:
        self.api, self.recording, self.reconciler = api, recording, reconciler
        #: Whether the host can report: not while Redis is away.
        self.reports = True

    async def get(self, path: str, status: int = 200) -> Json:
        """An answer of the api."""
        async with self.api.client() as client:
            answer = await client.get(path)
        assert answer.status_code == status, answer.text
        found: Json = answer.json()
        return found

    async def status(self) -> Json:
        """What celery-status says, after a report of the host."""
        if self.reports:
            now = utc_now()
            worker = ProcessChanged(
                at=now, host=HOST, name="worker", kind="worker", state="running", desired="running", since=now
            )
            await self.recording.tell(HostSeen(at=now, host=HOST, processes=(worker,)))
        return await self.get("/scheduler/celery-status/")

    async def green(self) -> Json:
        """The status as soon as all of it is well."""

        async def look() -> Json:
            status = await self.status()
            assert (status["celery"], status["behind"]) == ("running", []), status
            [host] = status["hosts"]
            assert (host["state"], host["processes"][0]["state"]) == ("online", "running")
            ready = await self.get("/readyz")
            assert (ready["status"], ready["parts"]["reconciler"]["state"]) == ("ready", "ok")
            return status

        return await eventually(look, "the status is green")

    async def doubtful(self, part: str, *, http: int = 200) -> Json:
        """The status as soon as it says that `part` is behind or away; nothing of it is green then."""

        async def look() -> Json:
            status = await self.status()
            assert part in {one["part"] for one in status["behind"]}, status
            return status

        status = await eventually(look, f"the api says that {part} is behind")
        [host] = status["hosts"]
        shown = [status[word] for word in ("celery", "worker", "beat")] + [host["state"], host["celery"]]
        assert shown == ["unknown"] * 5
        assert [(one["state"], one["last_state"]) for one in host["processes"]] == [("unknown", "running")]
        ready = await self.get("/readyz", http)
        assert ready["status"] != "ready"
        assert (ready["parts"][part]["ok"], ready["parts"][part]["message"] != "") == (False, True)
        assert datetime.fromisoformat(ready["parts"][part]["since"]) <= utc_now()
        return status


@pytest.fixture
async def well(valkey: Redis, database_url: str, tmp_path: Path) -> AsyncIterator[Fixture]:
    async with (
        a_recording(valkey, database_url, tmp_path) as recording,
        an_api(valkey.url, database_url, vouched=False) as api,
    ):
        fixture = Fixture(api, recording, await recording.start())
        await fixture.green()
        yield fixture


async def test_a_reconciler_that_was_killed_leaves_no_green_light_and_one_that_comes_makes_it_true_again(
    well: Fixture,
) -> None:
    await well.reconciler.end(signal.SIGKILL)
    killed_at = utc_now()
    for _ in range(2):

        async def away() -> Json | None:
            """That it reads no events is known as soon as that it is away."""
            status = await well.doubtful("reconciler")
            return status if "away" in status["behind"][0]["message"] else None

        status = await eventually(away, "the reconciler is away")
        [behind] = status["behind"]
        assert max(map(datetime.fromisoformat, (status["as_of"], behind["since"]))) <= killed_at
    await well.recording.start()
    await well.green()


async def test_a_frozen_reconciler_is_as_good_as_none(well: Fixture) -> None:
    frozen = psutil.Process(well.reconciler.pid)
    frozen.suspend()
    try:
        await well.doubtful("reconciler")
    finally:
        frozen.resume()
    await well.green()


async def test_another_reconciler_vouches_for_the_record_when_one_dies(well: Fixture) -> None:
    await well.recording.start()
    await well.reconciler.end(signal.SIGKILL)
    await well.green()


async def test_while_redis_is_away_nothing_is_green(well: Fixture, valkey: Redis) -> None:
    await valkey.stop()
    well.reports = False
    await well.doubtful("redis", http=503)
    await valkey.start()
    well.reports = True
    await well.green()


async def test_a_redis_that_does_not_answer_is_as_good_as_none(
    valkey: Redis, database_url: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(a_proxy(valkey.url))
        recording = await stack.enter_async_context(a_recording(valkey, database_url, tmp_path))
        api = await stack.enter_async_context(an_api(proxy.url_of(valkey.url), database_url, vouched=False))
        fixture = Fixture(api, recording, await recording.start())
        await fixture.green()
        proxy.cut()
        await fixture.doubtful("redis", http=503)
        proxy.mend()
        await fixture.green()


async def test_a_running_task_is_not_confirmed_while_nobody_vouches_for_it(well: Fixture, database: Database) -> None:
    task_id = await put_task(database)
    assert (await well.get(f"/scheduler/tasks/{task_id}/"))["confirmed"]
    await well.reconciler.end(signal.SIGKILL)
    await well.doubtful("reconciler")
    listed = await well.get("/scheduler/tasks/")
    assert [(one["status"], one["confirmed"]) for one in listed["items"]] == [("running", False)]
    assert listed["behind"][0]["part"] == "reconciler"
    assert listed["as_of"] is not None
    assert not (await well.get(f"/scheduler/tasks/{task_id}/"))["confirmed"]


async def test_while_postgres_is_away_the_last_that_was_read_is_shown_and_nothing_of_it_is_green(
    valkey: Redis, database_url: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(a_proxy(database_url))
        through = proxy.url_of(database_url)
        recording = await stack.enter_async_context(a_recording(valkey, through, tmp_path))
        api = await stack.enter_async_context(an_api(valkey.url, through, vouched=False))
        fixture = Fixture(api, recording, await recording.start())
        before = await fixture.green()
        proxy.cut()
        status = await fixture.doubtful("database")
        assert [host["name"] for host in status["hosts"]] == [host["name"] for host in before["hosts"]]
        proxy.mend()
        await fixture.green()


async def test_a_reconciler_whose_loop_dies_ends_and_its_log_says_which(
    valkey: Redis, database_url: str, tmp_path: Path
) -> None:
    async with a_recording(valkey, database_url, tmp_path) as recording:
        reconciler = await recording.start()
        connection = await asyncpg.connect(database_url)
        try:  # not as it left it: to write to it is a mistake, and no outage
            await connection.execute("ALTER TABLE reconcilers ALTER COLUMN complete_at TYPE integer USING 0")
        finally:
            await connection.close()
        assert await reconciler.ended() != 0
        assert "Heartbeat.run has died, so the service ends: DatatypeMismatchError" in reconciler.log
