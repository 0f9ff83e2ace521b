"""Confirmations of events by their numbers; pure.

A host numbers its events without a gap, and keeps them until the record has all up to a number. They may arrive twice,
out of order, and in the batches of several reconcilers: the numbers that arrived add up to ranges.
"""

import re
from collections.abc import Iterable

import msgspec

from signalbox.bus.confirmations import Confirmation
from signalbox.messages.events import HostSeen

#: Ranges of numbers, each from the first up to but without the last, in order and not touching each other.
Ranges = list[tuple[int, int]]

#: See `EventEntry`; the record must be able to store them.
_NUMBERS = re.compile(rb"([0-9A-Za-z]{1,64}) ([1-9][0-9]{0,17})(?: ([1-9][0-9]{0,17}))?").fullmatch


class Numbers(msgspec.Struct, frozen=True):
    """The numbers for which one entry of the bus stands."""

    epoch: str
    first: int
    last: int


def numbers_of(field: bytes | None) -> Numbers | None:
    """Read the numbers of an entry; None when it has none, or none of ours."""
    found = _NUMBERS(field or b"")
    if found is None:
        return None
    epoch, first, last = found.groups()
    numbers = Numbers(epoch.decode("ascii"), int(first), int(last or first))
    return numbers if numbers.first <= numbers.last else None


def ranges_of(numbers: Iterable[Numbers]) -> dict[str, Ranges]:
    """Add up numbers to ranges, by epoch."""
    spans: dict[str, Ranges] = {}
    for one in numbers:
        of_epoch = spans.setdefault(one.epoch, [])
        if of_epoch and of_epoch[-1][1] == one.first:  # as nearly always
            of_epoch[-1] = (of_epoch[-1][0], one.last + 1)
        else:
            of_epoch.append((one.first, one.last + 1))
    return {epoch: _joined(sorted(of_epoch)) for epoch, of_epoch in spans.items()}


def _joined(spans: Ranges) -> Ranges:
    joined: Ranges = []
    for first, end in spans:
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((first, end))
    return joined


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch says of the events of one epoch."""

    epoch: str
    #: Empty without a heartbeat.
    host: str = ""
    ranges: Ranges = []
    #: The number that the latest heartbeat names.
    announced: int = 0


def arrived(numbers: Iterable[Numbers], snapshots: Iterable[HostSeen]) -> list[Arrived]:
    """What a batch says of the events of each epoch; `snapshots` are its heartbeats, at most one of each host."""
    ranges = ranges_of(numbers)
    heartbeats = {seen.numbers.epoch: seen for seen in snapshots if seen.numbers is not None}
    return [_arrived(epoch, ranges.get(epoch, []), heartbeats.get(epoch)) for epoch in sorted({*ranges, *heartbeats})]


def _arrived(epoch: str, ranges: Ranges, heartbeat: HostSeen | None) -> Arrived:
    if heartbeat is None or heartbeat.numbers is None:
        return Arrived(epoch=epoch, ranges=ranges)
    return Arrived(epoch=epoch, host=heartbeat.host, ranges=ranges, announced=heartbeat.numbers.last)


def confirm(epoch: str, ranges: Ranges, announced_before: int) -> Confirmation:
    """What the record has, and whether it lacks events that an earlier heartbeat had announced.

    What the latest heartbeat announced may be in the batch of another reconciler, that is not committed yet.
    """
    confirmed = ranges[0][1] - 1 if ranges and ranges[0][0] <= 1 else 0
    return Confirmation(
        epoch=epoch, confirmed=confirmed, missing_up_to=announced_before if confirmed < announced_before else 0
    )
