"""The agent's memory of events: nothing is lost without a word, whatever the controller does."""

import json

from hypothesis import given
from hypothesis import strategies as st

from signalbox_agent.link.backlog import Backlog

ALL = 1 << 30


def sent(backlog: Backlog, size: int = ALL) -> list[int | str]:
    """What goes over the wire: numbers of events, and `lost n`."""
    lines = [json.loads(line) for line in backlog.take(size)]
    return [line["seq"] if line["type"] == "event" else f"lost {line['lost']}" for line in lines]


def filled(count: int, limit: int = 100) -> Backlog:
    backlog = Backlog(limit)
    for number in range(count):
        backlog.put(f'{{"type":"TaskStarted","number":{number}}}')
    return backlog


def test_an_event_is_sent_once_as_it_was_put_in() -> None:
    backlog = filled(1)
    assert list(backlog.take(ALL)) == [b'{"type":"event","seq":1,"event":{"type":"TaskStarted","number":0}}\n']
    assert sent(backlog) == []


def test_what_was_not_acknowledged_is_sent_again_after_a_reconnect() -> None:
    backlog = filled(5)
    assert sent(backlog) == [1, 2, 3, 4, 5]
    backlog.ack(2)
    backlog.rewind(3)
    assert sent(backlog) == [4, 5]


def test_a_controller_that_forgot_what_it_acknowledged_is_not_told_of_a_loss() -> None:
    backlog = filled(5)
    sent(backlog)
    backlog.ack(4)
    backlog.rewind(0)
    assert sent(backlog) == [5]


def test_the_oldest_go_when_it_is_full_and_the_hole_is_told() -> None:
    backlog = filled(7, limit=4)
    assert len(backlog) == 4
    assert sent(backlog) == ["lost 3", 4, 5, 6, 7]


def test_what_had_been_sent_before_it_was_thrown_away_counts_as_lost_only_if_it_did_not_arrive() -> None:
    for reached, expected in ((0, ["lost 3", 4, 5, 6, 7]), (3, [4, 5, 6, 7])):
        backlog = filled(4, limit=4)
        sent(backlog)
        for _ in range(3):
            backlog.put("{}")
        backlog.rewind(reached)
        assert sent(backlog) == expected


def test_one_write_takes_no_more_than_it_was_asked_for() -> None:
    backlog = filled(10)
    first = sent(backlog, 100)
    assert 1 <= len(first) < 10
    assert backlog.waiting
    assert first + sent(backlog) == list(range(1, 11))


@given(st.lists(st.sampled_from(["put", "send", "ack", "reconnect"]), max_size=60), st.integers(1, 8))
def test_whatever_happens_a_controller_hears_of_each_event_or_of_its_loss(steps: list[str], limit: int) -> None:
    backlog = Backlog(limit)
    heard = acked = 0  # the number up to which this connection, and any, knows what became of each event
    for step in [*steps, "send"]:
        if step == "put":
            backlog.put("{}")
        elif step == "ack":
            acked = heard
            backlog.ack(acked)
        elif step == "reconnect":
            heard = acked
            backlog.rewind(acked)
        else:
            for item in sent(backlog):
                if isinstance(item, str):
                    heard += int(item.removeprefix("lost "))
                else:
                    heard += 1
                    assert item == heard
            assert heard == backlog.last
        assert len(backlog) <= limit
