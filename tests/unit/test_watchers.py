"""What a browser gets that cannot keep up: counts, and word to load its lists when it can."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from signalbox_api.live import watcher
from signalbox_api.live.subscription import Subscribe
from signalbox_api.live.watcher import Frame, Watcher

BEAT = Frame("beat")


def beat(queue: Watcher) -> None:
    queue.beat(BEAT, lambda left_out, _: Frame(f"{left_out} left out"), lambda: Frame("resync"))


async def settled() -> None:
    """Let the browser take what there is."""
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def reading(queue: Watcher, got: list[str]) -> AsyncIterator[None]:
    """A browser that takes what comes."""

    async def read() -> None:
        while True:
            frame = await queue.next()
            got.append(frame.text if isinstance(frame, Frame) else "subscribe")

    task = asyncio.create_task(read())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "QUEUE_FRAMES", 2)


@pytest.mark.usefixtures("small")
async def test_what_has_no_room_is_counted_with_all_that_follows() -> None:
    queue, got = Watcher(), list[str]()
    for number in range(5):
        queue.put(Frame(f"{number}", changes=10))
    assert queue.left_out == 50
    async with reading(queue, got):
        await settled()
        beat(queue)
        await settled()
        queue.put(Frame("after", changes=1))
        await settled()
    assert got == ["resync", "after"]


async def test_a_frame_that_is_too_long_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "QUEUE_CHARACTERS", 10)
    queue = Watcher()
    queue.put(Frame("12345", changes=1))
    queue.put(Frame("123456", changes=2))
    assert queue.left_out == 3


@pytest.mark.usefixtures("small")
async def test_a_browser_that_takes_nothing_gets_no_beats_either() -> None:
    queue = Watcher()
    for _ in range(100):
        queue.put(Frame("x", changes=1))
        beat(queue)
    assert (queue.left_out, len(queue._frames)) == (100, 0)


@pytest.mark.usefixtures("small")
async def test_a_browser_that_falls_behind_again_waits_longer_each_time_and_sees_the_count() -> None:
    queue, got = Watcher(), list[str]()
    waits = []
    async with reading(queue, got):
        for _ in range(6):
            for _ in range(4):
                queue.put(Frame("x", changes=1))
            got.clear()
            await settled()
            while "resync" not in got:
                beat(queue)
                await settled()
            waits.append(len(got) - 1)
            assert set(got) <= {"4 left out", "resync"}
    assert waits == [0, 1, 3, 7, 15, 15]


@pytest.mark.usefixtures("small")
async def test_a_browser_that_keeps_up_for_a_while_is_told_to_load_at_once_the_next_time() -> None:
    queue, got = Watcher(), list[str]()
    async with reading(queue, got):
        for beats in (0, watcher.FORGET_AFTER):
            for _ in range(beats):
                beat(queue)
                await settled()
            for _ in range(4):
                queue.put(Frame("x"))
            got.clear()
            await settled()
            beat(queue)
            await settled()
            assert got == ["resync"]


@pytest.mark.usefixtures("small")
async def test_whoever_asks_for_something_else_gets_nothing_of_what_waits() -> None:
    queue, got = Watcher(), list[str]()
    for _ in range(5):
        queue.put(Frame("old", changes=1))
    queue.request(Subscribe(subscription=None))
    async with reading(queue, got):
        await settled()
        queue.put(Frame("new", changes=1))
        await settled()
    assert got == ["subscribe", "new"]
