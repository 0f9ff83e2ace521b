"""The live websocket: what a browser sees that stays, leaves, comes back, reads slowly or loses its session."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis as Client
from websockets.exceptions import ConnectionClosed, InvalidStatus

from signalbox.bus import names
from signalbox_api.live import beats, tail, watcher
from signalbox_api.routes import live
from support.api import Api, an_api
from support.eventually import eventually
from support.live import browser, frame, keys_of, publish, task_row, tell
from support.stores.databases import a_database
from support.stores.server import Postgres, Redis


@pytest.fixture
async def api(valkey: Redis, database_url: str) -> AsyncIterator[Api]:
    async with an_api(valkey.url, database_url) as running:
        yield running


@pytest.fixture
async def redis(valkey: Redis) -> AsyncIterator[Any]:
    async with Client.from_url(valkey.url) as client:
        yield client


@pytest.fixture
async def empty_of_reconcilers(postgres_server: Postgres, migrated_template: str) -> AsyncIterator[str]:
    """The address of another record, which no reconciler has ever written to."""
    async with a_database(postgres_server, template=migrated_template) as name:
        yield postgres_server.url_of(name)


async def test_a_change_arrives_with_its_row_and_position(api: Api, redis: Any) -> None:
    async with browser(api) as socket:
        hello = await frame(socket, "hello")
        assert hello["resync"] is True
        [position] = await publish(redis, "a")
        changes = await frame(socket, "changes")
    assert changes == {
        "type": "changes",
        "position": position,
        "changes": [{"kind": "task", "key": "a", "row": {"task_id": "a", "status": "running"}}],
    }


async def test_a_beat_tells_how_old_the_news_are(api: Api, redis: Any) -> None:
    async with browser(api) as socket:
        assert (await frame(socket, "beat"))["record_age"] is None
        [position] = await publish(redis, "a")
        beat = await frame(socket, "beat")
    assert beat["position"] == position
    assert 0 <= beat["record_age"] < 60


async def test_a_browser_is_told_with_each_beat_who_vouches_for_what_it_shows(
    api: Api, valkey: Redis, empty_of_reconcilers: str
) -> None:
    async with browser(api) as socket:
        beat = await frame(socket, "beat")
    assert (beat["behind"], beat["as_of"] is not None) == ([], True)
    async with an_api(valkey.url, empty_of_reconcilers, vouched=False) as alone, browser(alone) as socket:
        beat = await frame(socket, "beat")
    # What is slow on a busy machine may be behind as well.
    since = {one["part"]: one["since"] for one in beat["behind"]}
    assert (since.get("reconciler", "it is not"), beat["as_of"]) == (None, None)


async def test_a_browser_that_was_away_gets_what_it_missed_and_nothing_twice(api: Api, redis: Any) -> None:
    async with browser(api) as socket:
        await frame(socket, "hello")
        await publish(redis, "a")
        position = (await frame(socket, "changes"))["position"]
    await publish(redis, "b", "c")
    async with browser(api, position) as socket:
        hello = await frame(socket, "hello")
        assert (hello["resync"], hello["position"]) == (False, position)
        await publish(redis, "d")
        assert await keys_of(socket, 3) == ["b", "c", "d"]


@pytest.mark.parametrize("since", ["1-1", "nonsense", "99999999999999999999999-1", "%20"])
async def test_a_browser_that_was_away_for_too_long_loads_its_lists_again(api: Api, redis: Any, since: str) -> None:
    await publish(redis, "a")
    async with browser(api, since) as socket:
        assert (await frame(socket, "hello"))["resync"] is True


async def test_a_browser_that_missed_too_much_loads_its_lists_again(
    api: Api, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "CATCH_UP", 3)
    async with browser(api) as socket:
        [position, *_] = await publish(redis, *"abcde")
        assert await keys_of(socket, 5) == list("abcde")
    async with browser(api, position) as socket:
        assert (await frame(socket, "hello"))["resync"] is True


async def test_after_redis_lost_its_memory_every_browser_loads_its_lists_again(api: Api, redis: Any) -> None:
    async with browser(api) as socket:
        await frame(socket, "hello")
        await publish(redis, "a")
        await frame(socket, "changes")
        await redis.flushall()
        assert (await frame(socket, "hello"))["resync"] is True
        await publish(redis, "b")
        assert await keys_of(socket, 1) == ["b"]


async def test_changes_that_were_trimmed_before_they_were_read_have_every_browser_load_its_lists_again(
    api: Api, redis: Any
) -> None:
    async with browser(api) as socket:
        await frame(socket, "hello")
        await publish(redis, "a")
        await frame(socket, "changes")
        async with redis.pipeline(transaction=True) as at_once:  # as for an api that stood still for a while
            for key in "bc":
                at_once.xadd(names.CHANGES, {"data": json.dumps({"kind": "task", "key": key, "row": {}})})
            at_once.xtrim(names.CHANGES, maxlen=1, approximate=False)
            await at_once.execute()
        assert (await frame(socket, "hello"))["resync"] is True
        await publish(redis, "d")
        assert (await keys_of(socket, 1))[-1] == "d"


async def test_a_browser_that_saw_no_change_yet_loads_its_lists_again_when_it_comes_back(api: Api, redis: Any) -> None:
    async with browser(api) as socket:
        position = (await frame(socket, "hello"))["position"]
    await publish(redis, "a")
    await redis.delete(names.CHANGES)
    [last] = await publish(redis, "b")
    await eventually(lambda: _true(api.app.state.services.tail.position == last), "all changes are read")
    async with browser(api, position) as socket:
        assert (await frame(socket, "hello"))["resync"] is True


async def test_changes_go_on_after_redis_was_away(api: Api, valkey: Redis) -> None:
    async with browser(api) as socket:
        async with Client.from_url(valkey.url) as before:
            await publish(before, "a")
        assert await keys_of(socket, 1) == ["a"]
        await valkey.stop()
        while (await frame(socket, "beat"))["bus"]:  # the connection itself does not depend on Redis
            pass
        await valkey.start()
        async with Client.from_url(valkey.url) as after:
            await publish(after, "b")
        assert "b" in await keys_of(socket, 1)
        assert (await frame(socket, "beat"))["bus"]


@pytest.fixture
def no_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test beats."""
    monkeypatch.setattr(beats, "EVERY", 3600.0)


def beat_now(api: Api) -> None:
    services = api.app.state.services
    services.hub.beat(services.beats.frame(services.tail.position), services.beats._counting, services.beats._resync)


@pytest.mark.usefixtures("no_beats")
async def test_a_browser_that_cannot_keep_up_gets_counts_and_loads_its_lists_when_it_can(
    api: Api, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with browser(api) as socket:
        await frame(socket, "beat")
        [position] = await publish(redis, "a")
        await frame(socket, "changes")
        monkeypatch.setattr(watcher, "QUEUE_FRAMES", 0)
        await publish(redis, "b", "c")
        [queue] = api.app.state.services.hub._channel_of
        await eventually(lambda: _true(queue.left_out == 2), "two changes are left out")
        queue._beats_left = 1
        beat_now(api)
        beat = await frame(socket, "beat")
        assert (beat["position"], beat["left_out"]) == (None, 2)
        assert [one["message"] for one in beat["behind"]] == ["This page cannot keep up: 2 changes are not shown"]
        await eventually(lambda: _true(queue._idle), "the beat was taken")
        beat_now(api)
        hello = await frame(socket, "hello")
        monkeypatch.setattr(watcher, "QUEUE_FRAMES", 10)
        assert (hello["resync"], hello["position"] > position) == (True, True)
        await publish(redis, "d")
        assert await keys_of(socket, 1) == ["d"]


@pytest.mark.usefixtures("no_beats")
async def test_a_browser_that_comes_back_after_counts_gets_what_was_left_out(
    api: Api, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with browser(api) as socket:
        await frame(socket, "beat")
        await publish(redis, "a")
        reached = (await frame(socket, "changes"))["position"]
        monkeypatch.setattr(watcher, "QUEUE_FRAMES", 0)
        await publish(redis, "b")
        [queue] = api.app.state.services.hub._channel_of
        await eventually(lambda: _true(queue.left_out == 1), "a change is left out")
        queue._beats_left = 1
        beat_now(api)
        reached = (await frame(socket, "beat"))["position"] or reached
    monkeypatch.setattr(watcher, "QUEUE_FRAMES", 10)
    async with browser(api, reached) as socket:
        assert await keys_of(socket, 1) == ["b"]


@pytest.mark.usefixtures("no_beats")
async def test_a_browser_that_reads_nothing_for_a_while_loads_its_lists_once_it_has_read_what_was_sent(
    api: Api, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SEND_WAIT", 3600.0)
    async with browser(api) as socket:
        await frame(socket, "beat")
        [queue] = api.app.state.services.hub._channel_of

        async def is_behind() -> bool:
            await tell(redis, task_row("a", "running", args="x" * 300_000))
            return queue.left_out is not None

        await eventually(is_behind, "changes are left out")
        last = await tell(redis, task_row("last", "running"))
        await eventually(lambda: _true(api.app.state.services.tail.position == last), "all changes are read")
        reading = asyncio.create_task(frame(socket, "hello"))

        async def is_told() -> bool:
            beat_now(api)
            return reading.done()

        await eventually(is_told, "the browser is told to load its lists")
        hello = reading.result()
        assert (hello["resync"], hello["position"]) == (True, last)
        await tell(redis, task_row("b", "running"))
        assert await keys_of(socket, 1) == ["b"]


async def _true(condition: bool) -> bool:
    return condition


async def test_a_browser_whose_session_is_over_is_told_so(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "CHECK_EVERY", 0.05)
    made = await api.make_token("viewer")
    async with browser(api, Authorization=f"Bearer {made['token']}") as socket, api.client() as admin:
        await frame(socket, "hello")
        await admin.delete(f"/scheduler/tokens/{made['token_id']}/")
        with pytest.raises(ConnectionClosed) as closed:
            await frame(socket, "changes")
    assert closed.value.rcvd
    assert closed.value.rcvd.code == live.CLOSE_SIGNED_OUT


async def test_strangers_and_other_sites_see_nothing(api: Api) -> None:
    async with api.client("") as client:
        await api.sign_in(client)
        cookie = f"signalbox_session={client.cookies['signalbox_session']}"
    host = api.url.removeprefix("http://")
    refused = [
        ({"X-Nothing": "at all"}, 401),
        ({"Authorization": "Bearer nonsense"}, 401),
        ({"Cookie": cookie}, 403),
        ({"Cookie": cookie, "Origin": "https://evil.example"}, 403),
    ]
    for headers, status in refused:
        with pytest.raises(InvalidStatus) as refusal:
            async with browser(api, **headers):
                pass
        assert refusal.value.response.status_code == status
        assert json.loads(refusal.value.response.body)["status"] == "error"
    async with browser(api, Cookie=cookie, Origin=f"http://{host}") as socket:
        await frame(socket, "hello")
