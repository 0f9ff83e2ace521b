"""The agent's loop: its work goes on, be it on Celery's event loop or in a thread."""

import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kombu.asynchronous import Hub

from signalbox_agent import safety
from signalbox_agent.link.loop import Loop

#: Seconds that anything here may take.
DEADLINE = 60.0


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.stop_thread()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


class Told:
    """Remembers who was called, and in which thread."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.threads: set[str] = set()
        self._changed = threading.Condition()

    def call(self, name: str) -> None:
        with self._changed:
            self.names.append(name)
            self.threads.add(threading.current_thread().name)
            self._changed.notify_all()

    def wait(self, count: int) -> list[str]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.names) >= count, DEADLINE), self.names
            return self.names


def test_timers_come_in_their_order_and_a_cancelled_one_not_at_all(loop: Loop) -> None:
    told = Told()
    loop.call_later(0.05, lambda: told.call("second"))
    loop.call_later(0.01, lambda: told.call("first"))
    loop.call_later(0.02, lambda: told.call("never")).cancel()
    loop.start_thread()
    assert told.wait(2) == ["first", "second"]
    assert told.threads == {"signalbox-agent"}


def test_a_thread_notices_at_once_what_it_is_given_while_it_sleeps(loop: Loop, pipe: tuple[int, int]) -> None:
    told = Told()
    reader, writer = pipe

    def read() -> None:
        os.read(reader, 1)
        told.call("read")

    loop.start_thread()
    with loop.lock:
        loop.add_reader(reader, read)
        loop.call_later(0, lambda: told.call("timer"))
    os.write(writer, b"x")
    assert sorted(told.wait(2)) == ["read", "timer"]


def test_readers_and_timers_move_to_celerys_loop_and_back(loop: Loop, pipe: tuple[int, int]) -> None:
    told = Told()
    hub: Any = Hub()  # type: ignore[no-untyped-call]
    reader, writer = pipe

    def read() -> None:
        os.read(reader, 1)
        told.call("read")

    loop.start_thread()
    with loop.lock:
        loop.add_reader(reader, read)
    loop.attach(hub)

    def timer() -> None:
        told.call("timer")
        os.write(writer, b"x")  # or the hub would sleep for a second before it gives us back control

    loop.call_later(0.01, timer)
    loop.on_turn = lambda: told.call("turn")
    os.write(writer, b"x")
    while not {"read", "timer", "turn"} <= set(told.names):
        hub.run_once()
    assert told.threads == {threading.current_thread().name}
    loop.on_turn = lambda: None

    before = len(told.names)
    loop.detach(for_good=False)
    assert loop.hub is None
    assert loop.last_hub is hub
    loop.call_later(0.01, lambda: told.call("timer"))
    os.write(writer, b"x")
    assert sorted(told.wait(before + 2)[before:]) == ["read", "timer"]
    assert reader not in hub.readers
    hub.close()


def test_a_loop_that_celery_has_reset_serves_us_again_once_it_turns(loop: Loop, pipe: tuple[int, int]) -> None:
    told = Told()
    hub: Any = Hub()  # type: ignore[no-untyped-call]
    reader, writer = pipe

    def read() -> None:
        os.read(reader, 1)
        told.call("read")

    loop.attach(hub)
    loop.add_reader(reader, read)

    def timer() -> None:
        os.write(writer, b"x")

    loop.call_later(0.05, timer)
    hub.reset()
    loop.detach(for_good=False)
    loop.attach(hub)
    while not told.names:
        hub.run_once()
    assert told.names == ["read"]
    assert told.threads == {threading.current_thread().name}
    hub.close()


def test_what_is_to_be_done_shortly_after_a_turn_waits_for_nothing_else_to_happen(
    loop: Loop, pipe: tuple[int, int]
) -> None:
    hub: Any = Hub()  # type: ignore[no-untyped-call]
    loop.attach(hub)
    loop.add_reader(pipe[0], lambda: None)
    slept: list[float] = []
    done: list[bool] = []
    poll = hub.poller.poll

    def watched(timeout: float) -> Any:
        found = poll(timeout)
        if not found and not done:
            slept.append(timeout)
        return found

    def turn() -> None:
        loop.on_turn = lambda: None
        slept.clear()
        loop.call_later(0.01, lambda: done.append(True))

    hub.poller.poll = watched
    loop.on_turn = turn
    while not done:
        hub.run_once()
    hub.close()
    assert max(slept, default=0.0) <= 0.01  # a hub that has nothing to do sleeps for a second


def test_an_error_in_one_callback_is_logged_once_and_stops_no_other(
    loop: Loop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safety, "_logged", set())
    told = Told()

    def broken() -> None:
        raise RuntimeError("broken")

    loop.call_later(0, broken)
    loop.call_later(0.01, broken)
    loop.call_later(0.02, lambda: told.call("goes on"))
    with caplog.at_level(logging.ERROR, "signalbox.agent"):
        loop.start_thread()
        told.wait(1)
    assert [record.name for record in caplog.records] == ["signalbox.agent"]


def test_a_fork_of_a_fork_lets_go_of_nothing_that_is_not_there(pipe: tuple[int, int]) -> None:
    loop = Loop()
    loop.add_reader(os.dup(pipe[0]), lambda: None)
    for _ in range(2):
        loop.abandon()
    loop.wake()
    loop.call_later(0.0, lambda: None)
