"""The live websocket: what a browser sees that stays, leaves, comes back, reads slowly or loses its session."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest
from redis.asyncio import Redis as Client
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from signalbox.bus import names
from signalbox_api.live import beats, tail, watcher
from signalbox_api.routes import live
from support.api import Api, Json, an_api
from support.eventually import HANGS, eventually
from support.stores.databases import a_database
from support.stores.server import Postgres, Redis


@pytest.fixture
async def api(valkey: Redis, database_url: str) -> AsyncIterator[Api]:
    async with an_api(valkey.url, database_url) as running:
        yield running


@pytest.fixture
async def empty_of_reconcilers(postgres_server: Postgres, migrated_template: str) -> AsyncIterator[str]:
    """The address of another record, which no reconciler has ever written to."""
    async with a_database(postgres_server, template=migrated_template) as name:
        yield postgres_server.url_of(name)


@asynccontextmanager
async def browser(api: Api, since: str = "", **headers: str) -> AsyncIterator[ClientConnection]:
    headers = headers or {"Authorization": f"Bearer {api.token}"}
    url = f"{api.url.replace('http', 'ws')}/scheduler/live/" + (f"?since={since}" if since else "")
    async with connect(url, additional_headers=headers, proxy=None, open_timeout=HANGS) as socket:
        yield socket


async def frame(socket: ClientConnection, kind: str) -> Json:
    """The next frame of a kind, whatever comes before it."""
    async with asyncio.timeout(HANGS):
        while True:
            found: Json = json.loads(await socket.recv())
            if found["type"] == kind:
                return found


async def publish(redis: Any, *keys: str) -> list[str]:
    """Changes, as the reconciler publishes them; their positions."""
    positions = []
    for key in keys:
        change = {"kind": "task", "key": key, "row": {"task_id": key, "status": "running"}}
        positions.append((await redis.xadd(names.CHANGES, {"data": json.dumps(change)})).decode())
    return positions


@pytest.fixture
async def redis(valkey: Redis) -> AsyncIterator[Any]:
    async with Client.from_url(valkey.url) as client:
        yield client


async def keys_of(socket: ClientConnection, count: int) -> list[str]:
    """The keys of the next changes."""
    found: list[str] = []
    while len(found) < count:
        found += [change["key"] for change in (await frame(socket, "changes"))["changes"]]
    return found


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


def task_row(key: str, status: str, **other: str | None) -> Json:
    """Of a task that is new, unless told otherwise."""
    names = {"name": "charge", "celery_name": "shop.charge", "created_at": "2999-01-01T00:00:00Z"}
    return {"task_id": key, "status": status, **names, **other}


async def tell(redis: Any, *rows: Json, kind: str = "task") -> str:
    """Publish these rows as changes; the position of the last."""
    position = b""
    for row in rows:
        change = {"kind": kind, "key": row.get("task_id") or row["name"], "row": row}
        position = await redis.xadd(names.CHANGES, {"data": json.dumps(change)})
    return position.decode()


def subscribed(**subscription: Any) -> str:
    return "&subscription=" + quote(json.dumps(subscription))


async def statuses_of(socket: ClientConnection, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        changes = (await frame(socket, "changes"))["changes"]
        found += [f"{change['key']} {change['row'].get('status', '')}".strip() for change in changes]
    return found


async def test_a_list_gets_the_tasks_that_match_and_those_that_do_so_no_longer(api: Api, redis: Any) -> None:
    async with browser(api, "&" + subscribed(tasks={"status": "running"})) as socket:
        await frame(socket, "beat")
        await tell(redis, task_row("a", "pending"), task_row("b", "pending"), task_row("a", "running"))
        await tell(redis, {"name": "web-01"}, kind="host")
        # What was not heard of before may be shown: its list was read before it changed.
        await tell(redis, task_row("early", "failed", created_at="2020-01-01T00:00:00Z"), task_row("b", "failed"))
        await tell(redis, task_row("a", "completed"), task_row("a", "failed"), task_row("c", "running"))
        expected = ["a running", "early failed", "a completed", "a failed", "c running"]
        assert await statuses_of(socket, len(expected)) == expected


async def test_a_task_page_gets_that_task_with_its_logs_and_nothing_else(api: Api, redis: Any) -> None:
    async with browser(api, "&" + subscribed(task="a")) as socket:
        await frame(socket, "beat")
        await tell(redis, task_row("a", "running"), task_row("b", "running"))
        await tell(redis, {"task_id": "b", "log_id": 1}, {"task_id": "a", "log_id": 2}, kind="log")
        await tell(redis, task_row("a", "failed"))
        assert await statuses_of(socket, 3) == ["a running", "a", "a failed"]


async def test_a_browser_that_turns_to_something_else_gets_what_it_missed_of_that(api: Api, redis: Any) -> None:
    async with browser(api, "&" + subscribed(task="a")) as socket:
        reached = (await frame(socket, "beat"))["position"]
        await tell(redis, task_row("b", "running"), task_row("a", "running"))
        assert await statuses_of(socket, 1) == ["a running"]
        await socket.send(json.dumps({"type": "subscribe", "subscription": {"task": "b"}, "since": reached}))
        answer = await frame(socket, "subscribed")
        assert (answer["resync"], answer["position"]) == (False, reached)
        await tell(redis, task_row("a", "failed"), task_row("b", "failed"))
        assert await statuses_of(socket, 2) == ["b running", "b failed"]
        await socket.send(json.dumps({"type": "subscribe", "subscription": None, "since": "1-1"}))
        assert (await frame(socket, "subscribed"))["resync"] is True
        await tell(redis, task_row("c", "running"))
        assert await statuses_of(socket, 1) == ["c running"]


async def test_a_browser_that_comes_back_with_its_subscription_gets_only_what_it_shows(api: Api, redis: Any) -> None:
    shown = subscribed(tasks={"q": "CHARGE"})
    async with browser(api, "&" + shown) as socket:
        reached = (await frame(socket, "beat"))["position"]
    reached = await tell(redis, task_row("a", "running"))
    await tell(redis, task_row("b", "running", name="x", celery_name="x"), task_row("c", "running"))
    async with browser(api, reached + shown) as socket:
        assert (await frame(socket, "hello"))["resync"] is False
        assert await statuses_of(socket, 1) == ["c running"]


@pytest.mark.parametrize(
    "message",
    [
        "no json",
        "[]",
        '{"type": "subscribe"}',
        '{"type": "unsubscribe"}',
        '{"type": "subscribe", "subscription": {"task": 7}}',
        '{"type": "subscribe", "subscription": {"tasks": {"status": "asleep"}}}',
        '{"type": "subscribe", "subscription": {"taks": {}}}',
        json.dumps({"type": "subscribe", "subscription": {"tasks": {"q": "x" * 3000}}}),
        json.dumps({"type": "subscribe", "subscription": {"task": "x" * 11_000}}),
        b"\xff",
    ],
)
async def test_a_message_of_bad_form_is_answered_and_ends_nothing(api: Api, redis: Any, message: str | bytes) -> None:
    async with browser(api, "&" + subscribed(task="a")) as socket:
        await frame(socket, "beat")
        await socket.send(message)
        assert (await frame(socket, "error"))["message"].startswith(
            ("This is no message", "A text in this", "The id in this")
        )
        await tell(redis, task_row("b", "running"), task_row("a", "running"))
        assert await statuses_of(socket, 1) == ["a running"]


async def test_a_subscription_of_bad_form_in_the_address_is_answered_and_everything_is_sent(
    api: Api, redis: Any
) -> None:
    async with browser(api, "&subscription=nonsense") as socket:
        assert "no subscription" in (await frame(socket, "error"))["message"]
        await frame(socket, "beat")
        await tell(redis, task_row("a", "running"))
        assert await statuses_of(socket, 1) == ["a running"]


async def test_changes_of_another_release_go_to_every_list(api: Api, redis: Any) -> None:
    async with browser(api, "&" + subscribed(tasks={"status": "failed"}, task="z")) as socket:
        await frame(socket, "beat")
        await tell(redis, {"task_id": "a", "status": 7}, {"task_id": "b"})
        await tell(redis, {"name": "a new kind"}, kind="weather")
        assert await keys_of(socket, 3) == ["a", "b", "a new kind"]


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
