"""Who may hold how many connections, and which one is closed for a new one."""

import pytest

from signalbox_api.connections.shares import Shares, State
from signalbox_api.sources import source_of


class Connection:
    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False

    def __repr__(self) -> str:
        return self.name

    def give_way(self) -> None:
        self.closed = True


def enter(shares: Shares, source: str, *states: State) -> list[Connection]:
    """Connections of this source that are let in, in these states."""
    made = []
    for number, state in enumerate(states):
        made.append(Connection(f"{source}.{number}"))
        assert shares.enter(made[-1], source) is None
        shares.change(made[-1], state)
    return made


def closed(connections: list[Connection]) -> list[int]:
    return [place for place, one in enumerate(connections) if one.closed]


@pytest.mark.parametrize(
    ("held", "gives_way"),
    [
        (("idle", "idle", "idle"), [0]),
        (("busy", "idle", "idle"), [1]),
        (("reading", "idle", "busy"), [1]),
        (("busy", "reading", "reading"), [1]),
    ],
)
def test_a_source_at_its_share_loses_what_it_misses_least(held: tuple[State, ...], gives_way: list[int]) -> None:
    shares = Shares(100, 3)
    before = enter(shares, "a", *held)
    enter(shares, "a", "idle")
    assert closed(before) == gives_way
    assert len(shares) == 3


def test_a_source_whose_requests_are_all_being_answered_is_refused_in_words() -> None:
    shares = Shares(100, 2)
    enter(shares, "a", "busy", "busy")
    refusal = shares.enter(Connection("new"), "a")
    assert refusal
    assert (refusal.status, refusal.message[:30]) == (429, "2 connections of your address ")
    enter(shares, "b", "idle")


def test_used_last_is_closed_last() -> None:
    shares = Shares(100, 3)
    first, second, third = enter(shares, "a", "idle", "idle", "idle")
    shares.change(first, "reading")
    shares.change(first, "idle")
    enter(shares, "a", "idle")
    assert (first.closed, second.closed, third.closed) == (False, True, False)


def test_when_all_places_are_taken_the_largest_source_gives_way() -> None:
    shares = Shares(6, 4)
    small, large = enter(shares, "small", "idle", "idle"), enter(shares, "large", *("reading",) * 4)
    enter(shares, "new", "idle")
    assert (closed(small), closed(large)) == ([0], [])  # an idle one before any that is of use
    enter(shares, "newer", "reading")
    assert closed(small) == [0, 1]
    shares = Shares(6, 4)
    small, large = enter(shares, "small", "reading", "reading"), enter(shares, "large", *("reading",) * 4)
    enter(shares, "new", "idle")
    assert (closed(small), closed(large)) == ([], [0])


def test_what_is_answered_is_never_closed_for_another() -> None:
    shares = Shares(4, 4)
    enter(shares, "a", *("busy",) * 4)
    refusal = shares.enter(Connection("new"), "b")
    assert refusal
    assert refusal.status == 503


def test_a_named_proxy_has_no_share_of_its_own() -> None:
    shares = Shares(10, 2, lambda source: source == "proxy")
    many = enter(shares, "proxy", *("busy",) * 8)
    assert closed(many) == []


def test_what_has_left_or_become_a_websocket_is_counted_as_that() -> None:
    shares = Shares(10, 2)
    one, two = enter(shares, "a", "idle", "idle")
    socket = Connection("websocket")
    shares.replace(one, socket)
    shares.leave(two)
    shares.leave(two)
    shares.change(two, "busy")
    assert len(shares) == 1
    shares.leave(socket)
    assert len(shares) == 0


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_a_source_is_what_one_party_has_to_itself(address: str, source: str) -> None:
    assert source_of(address) == source
