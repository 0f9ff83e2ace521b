"""The agent's end of the connection: it never waits, and what matters arrives in the end."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox_agent.link.link import Link, Message
from signalbox_agent.link.loop import Loop
from signalbox_agent.tasks import events
from signalbox_agent.tasks.runs import Run
from support.agent.peer import Peer


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    peer = Peer(tmp_path / "socket")
    yield peer
    peer.close()


class Heard(list[Message]):
    """What the controller said, as the agent takes it."""


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def link(peer: Peer, heard: Heard) -> Iterator[Link]:
    loop = Loop()
    hello = {"type": "hello", "instance": "i", "pid": 1, "kind": "worker"}
    link = Link(str(peer.path), loop, lambda: hello, heard.append)
    loop.start_thread()
    yield link
    with loop.lock:
        link.abandon()
    loop._stop_thread()


def connect(link: Link) -> None:
    with link._loop.lock:
        link.connect()
    assert link.welcomed.wait(5.0)


def tell(link: Link, count: int, text: str = "") -> None:
    run = Run(None, "a", "shop.a", "a")
    run.describe("worker@here", "q", text, "{}")
    for _ in range(count):
        with link._loop.lock:
            link.event(events.received(run, None, None, None))


def numbers(peer: Peer) -> list[int]:
    return [line["seq"] for line in peer.lines if line["type"] == "event"]


def test_what_was_told_before_there_was_a_connection_comes_with_it(link: Link, peer: Peer) -> None:
    tell(link, 3)
    connect(link)
    peer.wait(lambda _: numbers(peer) == [1, 2, 3], "all three")


def test_what_the_controller_says_is_handed_over_in_its_order(link: Link, peer: Peer, heard: Heard) -> None:
    connect(link)
    for number in range(3):
        peer.say(type="cancel", command_id=str(number), task_id="a", grace=1.0)
    peer.say(type="ping")
    peer.line("pong")
    assert [line["type"] for line in heard] == ["welcome", "cancel", "cancel", "cancel", "ping"]


def test_nonsense_from_the_controller_is_passed_over(link: Link, peer: Peer) -> None:
    connect(link)
    assert peer._connection is not None
    peer._connection.sendall(b'nonsense\n{"no": "type"}\n[]\n')
    peer.say(type="ping")
    peer.line("pong")


def test_a_controller_that_does_not_read_costs_no_time_and_gets_all_of_it_later(link: Link, peer: Peer) -> None:
    peer.reading = False
    with link._loop.lock:
        link.connect()
    assert peer.connected.wait(5.0)
    begin = time.monotonic()
    tell(link, 600, "x" * 900)
    assert time.monotonic() - begin < 2.0
    peer.close()
    peer.reading = True
    peer.open()
    peer.wait(lambda _: numbers(peer) == list(range(1, 601)), "all of it")


def test_an_answer_reaches_only_who_is_connected_now(link: Link, peer: Peer) -> None:
    with link._loop.lock:
        link.say({"type": "stopping"})
    connect(link)
    with link._loop.lock:
        link.say({"type": "ready"})
    peer.line("ready")
    assert [line["type"] for line in peer.lines] == ["hello", "ready"]


def test_the_last_words_of_a_process_are_sent_before_it_ends(link: Link, peer: Peer) -> None:
    connect(link)
    tell(link, 500, "x" * 900)
    with link._loop.lock:
        link.finish(5.0)
        assert not link.backlog.waiting
    peer.wait(lambda _: len(numbers(peer)) == 500, "all of it")


def test_a_process_that_ends_before_it_is_welcome_waits_a_moment_for_that(link: Link, peer: Peer) -> None:
    tell(link, 3)
    with link._loop.lock:  # so that the thread cannot take the welcome in
        link.connect()
        link.finish(5.0)
    peer.wait(lambda _: numbers(peer) == [1, 2, 3], "all three", within=1.0)
