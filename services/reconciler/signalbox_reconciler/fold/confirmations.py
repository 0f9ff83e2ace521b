"""Confirmations of events by their numbers; pure.

A host numbers its events without a gap, and keeps them until the record has all up to a number. They may arrive twice,
out of order, and in the batches of several reconcilers: the numbers that arrived add up to ranges.
"""

from collections.abc import Iterable

import msgspec

from signalbox.bus.confirmations import Confirmation
from signalbox.messages.events import HostSeen

#: Ranges of numbers, each from the first up to but without the last, in order and not touching each other.
Ranges = list[tuple[int, int]]

#: Digits of a number, and characters of an epoch: the record must be able to store both.
_DIGITS, _EPOCH = 18, 64


class Numbers(msgspec.Struct, frozen=True):
    """The numbers for which one entry of the bus stands."""

    epoch: str
    first: int
    last: int


def numbers_of(field: bytes | None) -> Numbers | None:
    """Read the numbers of an entry; None when it has none, or none of ours."""
    parts = (field or b"").split(b" ")
    if not 2 <= len(parts) <= 3 or not (0 < len(parts[0]) <= _EPOCH and parts[0].isalnum()):
        return None
    if not all(part.isdigit() and len(part) <= _DIGITS for part in parts[1:]):
        return None
    first, last = int(parts[1]), int(parts[-1])
    return Numbers(parts[0].decode("ascii"), first, last) if 1 <= first <= last else None


def ranges_of(numbers: Iterable[Numbers]) -> dict[str, Ranges]:
    """Add up numbers to ranges, by epoch."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for one in numbers:
        spans.setdefault(one.epoch, []).append((one.first, one.last + 1))
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
