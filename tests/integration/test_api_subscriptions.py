"""The live websocket: a browser gets the changes of what it shows, and of nothing else."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis as Client

from support.api import Api, an_api
from support.live import browser, frame, keys_of, statuses_of, subscribed, task_row, tell
from support.stores.server import Redis


@pytest.fixture
async def api(valkey: Redis, database_url: str) -> AsyncIterator[Api]:
    async with an_api(valkey.url, database_url) as running:
        yield running


@pytest.fixture
async def redis(valkey: Redis) -> AsyncIterator[Any]:
    async with Client.from_url(valkey.url) as client:
        yield client


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
        await frame(socket, "beat")
        reached = await tell(redis, task_row("a", "pending"))
        assert await statuses_of(socket, 1) == ["a pending"]
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
        json.dumps({"type": "subscribe", "subscription": {"tasks": {"q": "x" * 10_001}}}),
        json.dumps({"type": "subscribe", "subscription": {"task": "x" * 10_001}}),
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


async def test_a_text_that_a_list_takes_can_be_subscribed_to(api: Api, redis: Any) -> None:
    text = "é" * 10_000
    async with browser(api) as socket, api.client() as client:
        reached = (await frame(socket, "beat"))["position"]
        assert (await client.get("/scheduler/tasks/", params={"q": text})).status_code == 200
        message = {"type": "subscribe", "subscription": {"tasks": {"q": text}}, "since": reached}
        await socket.send(json.dumps(message, ensure_ascii=False))
        await frame(socket, "subscribed")
        await tell(redis, task_row("b", "running"), task_row("a", "running", error=text))
        assert await statuses_of(socket, 1) == ["a running"]


async def test_changes_of_another_release_go_to_every_list(api: Api, redis: Any) -> None:
    async with browser(api, "&" + subscribed(tasks={"status": "failed"}, task="z")) as socket:
        await frame(socket, "beat")
        await tell(redis, {"task_id": "a", "status": 7}, {"task_id": "b"})
        await tell(redis, {"name": "a new kind"}, kind="weather")
        assert await keys_of(socket, 3) == ["a", "b", "a new kind"]
