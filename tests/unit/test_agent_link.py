"""The agent's end of the connection: it never waits, and what matters arrives in the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox_agent.link.link import Link, Message
from signalbox_agent.link.loop import Loop
from signalbox_agent.tasks import events
from signalbox_agent.tasks.runs import Run
from support.agent.peer import Peer
from support.eventually import HANGS


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
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.stop_thread()


@pytest.fixture
def link(loop: Loop, peer: Peer, heard: Heard) -> Iterator[Link]:
    hello = {"type": "hello", "instance": "i", "pid": 1, "kind": "worker"}
    link = Link(str(peer.path), loop, lambda: hello, heard.append)
    loop.start_thread()
    yield link
    loop.stop_thread()
    link.abandon()


def connect(loop: Loop, link: Link) -> None:
    with loop.lock:
        link.connect()
    assert link.welcomed.wait(HANGS)


def tell(loop: Loop, link: Link, count: int, text: str = "") -> None:
    run = Run(None, "a", "shop.a", "a")
    run.describe("worker@here", "q", text, "{}")
    for _ in range(count):
        with loop.lock:
            link.event(events.received(run, None, None, None))


def numbers(peer: Peer) -> list[int]:
    return [line["seq"] for line in peer.lines if line["type"] == "event"]


def test_what_was_told_before_there_was_a_connection_comes_with_it(loop: Loop, link: Link, peer: Peer) -> None:
    tell(loop, link, 3)
    connect(loop, link)
    peer.wait(lambda _: len(numbers(peer)) == 3, "all three")
    assert numbers(peer) == [1, 2, 3]


def test_what_the_controller_says_is_handed_over_in_its_order(loop: Loop, link: Link, peer: Peer, heard: Heard) -> None:
    connect(loop, link)
    for number in range(3):
        peer.say(type="cancel", command_id=str(number), task_id="a", grace=1.0)
    peer.say(type="ping")
    peer.line("pong")
    assert [line["type"] for line in heard] == ["welcome", "cancel", "cancel", "cancel", "ping"]


def test_an_agent_that_is_refused_logs_the_reason_once_and_comes_to_the_next_controller(
    loop: Loop, link: Link, peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    peer.refusing = "it is of another user"
    for _ in range(2):
        connect(loop, link)
        tell(loop, link, 1)
        assert not link.online
        link.welcomed.clear()
        peer.close()
        peer.open()
        assert link.welcomed.wait(HANGS)
    peer.refusing = ""
    peer.close()
    peer.open()
    peer.wait(lambda _: numbers(peer) == [1, 2], "what happened meanwhile")
    assert caplog.text.count("this worker has not joined, which does not affect it: it is of another user") == 1


def test_nonsense_from_the_controller_is_passed_over(loop: Loop, link: Link, peer: Peer) -> None:
    connect(loop, link)
    peer.write(b'nonsense\n{"no": "type"}\n[]\n')
    peer.say(type="ping")
    peer.line("pong")
    assert link.online


def test_a_controller_that_does_not_read_holds_nothing_up_and_gets_it_later(loop: Loop, link: Link, peer: Peer) -> None:
    peer.reading = False
    with loop.lock:
        link.connect()
    assert peer.connected.wait(HANGS)
    tell(loop, link, 600, "x" * 900)
    peer.close()
    peer.reading = True
    peer.open()
    peer.wait(lambda _: numbers(peer) == list(range(1, 601)), "all of it")


def test_an_answer_reaches_only_who_is_connected_now(loop: Loop, link: Link, peer: Peer) -> None:
    with loop.lock:
        link.send({"type": "stopping"})
    connect(loop, link)
    with loop.lock:
        link.send({"type": "ready"})
    peer.line("ready")
    assert [line["type"] for line in peer.lines] == ["hello", "ready"]


def test_the_last_words_of_a_process_are_sent_before_it_ends(loop: Loop, link: Link, peer: Peer) -> None:
    connect(loop, link)
    tell(loop, link, 500, "x" * 900)
    with loop.lock:
        link.finish(HANGS)
        assert not link.backlog.waiting
    peer.wait(lambda _: len(numbers(peer)) == 500, "all of it")


def test_a_process_that_ends_before_it_is_welcome_waits_a_moment_for_that(loop: Loop, link: Link, peer: Peer) -> None:
    tell(loop, link, 3)
    with loop.lock:  # so that the thread cannot take the welcome in
        link.connect()
        link.finish(HANGS)
    peer.wait(lambda _: len(numbers(peer)) == 3, "all three")
    assert numbers(peer) == [1, 2, 3]
