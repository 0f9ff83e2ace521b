"""The record has an event once it has its number, in whatever order and however often the numbers arrive."""

from itertools import permutations

import pytest

from signalbox.bus.confirmations import Confirmation
from signalbox.messages.events import EventNumbers, HostSeen
from signalbox_reconciler.fold.confirmations import Arrived, Numbers, Ranges, arrived, confirm, numbers_of, ranges_of
from support.history import after


@pytest.mark.parametrize(
    ("field", "numbers"),
    [
        (b"e1 7", Numbers("e1", 7, 7)),
        (b"e1 7 9", Numbers("e1", 7, 9)),
        (None, None),
        (b"", None),
        (b"e1", None),
        (b"e1 0", None),
        (b"e1 9 7", None),
        (b"e1 -7", None),
        (b"e1 seven", None),
        (b"e1 7 9 11", None),
        (b"\xff\xfe 7", None),
        (b"e1 " + b"9" * 19, None),
        (b"e" * 65 + b" 7", None),
    ],
)
def test_what_is_no_number_of_ours_is_none(field: bytes | None, numbers: Numbers | None) -> None:
    assert numbers_of(field) == numbers


@pytest.mark.parametrize(
    ("numbers", "ranges"),
    [
        ([(1, 1)], [(1, 2)]),
        ([(1, 1), (2, 2), (3, 3)], [(1, 4)]),
        ([(1, 1), (3, 3)], [(1, 2), (3, 4)]),
        ([(1, 1), (1, 1), (2, 2), (2, 2)], [(1, 3)]),
        ([(4, 9), (6, 7), (10, 10)], [(4, 11)]),
        ([(1, 5), (3, 8)], [(1, 9)]),
    ],
)
def test_numbers_add_up_in_any_order(numbers: list[tuple[int, int]], ranges: Ranges) -> None:
    for order in permutations(numbers):
        assert ranges_of(Numbers("e1", first, last) for first, last in order) == {"e1": ranges}


def test_each_start_of_a_controller_counts_for_itself() -> None:
    numbers = [Numbers("e1", 1, 1), Numbers("e2", 2, 2), Numbers("e1", 2, 2)]
    assert ranges_of(numbers) == {"e1": [(1, 3)], "e2": [(2, 3)]}


@pytest.mark.parametrize(
    ("ranges", "announced_before", "confirmed", "missing_up_to"),
    [
        ([], 0, 0, 0),  # a host that has told nothing yet
        ([(1, 6)], 5, 5, 0),
        ([(1, 9)], 5, 8, 0),  # more than was announced: the next heartbeat will
        ([(1, 4)], 5, 3, 5),  # the end is missing
        ([(1, 3), (4, 9)], 8, 2, 8),  # something in between is missing
        ([(2, 9)], 8, 0, 8),  # the beginning is missing
        ([(1, 3), (4, 9)], 2, 2, 0),  # another reconciler may have the rest, and has not committed
        ([], 5, 0, 5),  # all is missing
    ],
)
def test_what_is_confirmed_and_what_is_missing(
    ranges: Ranges, announced_before: int, confirmed: int, missing_up_to: int
) -> None:
    expected = Confirmation(epoch="e1", confirmed=confirmed, missing_up_to=missing_up_to)
    assert confirm("e1", ranges, announced_before) == expected


def test_a_batch_says_what_arrived_and_what_its_heartbeats_announce() -> None:
    old = HostSeen(at=after(0), host="of an older release")
    seen = HostSeen(at=after(0), host="h", numbers=EventNumbers(epoch="e1", last=4))
    quiet = HostSeen(at=after(0), host="quiet", numbers=EventNumbers(epoch="e3", last=0))
    assert arrived([Numbers("e1", 3, 3), Numbers("e2", 1, 1)], [old, seen, quiet]) == [
        Arrived(epoch="e1", host="h", ranges=[(3, 4)], announced=4),
        Arrived(epoch="e2", ranges=[(1, 2)]),
        Arrived(epoch="e3", host="quiet"),
    ]
