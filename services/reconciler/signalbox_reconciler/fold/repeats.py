"""Repeats: what each host said last, as far as the record has it; a heartbeat that says no more changes nothing.

Only a host can change what is true of it, and the record may lose that only in ways which a host notices as silence.
So a repeated heartbeat needs no more than the note that it came, and is written in full once in a while all the same.
"""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import msgspec

from signalbox.messages.events import AnyEvent, EventNumbers, HostLeft, HostSeen, ProcessChanged

#: Seconds after which a heartbeat is written in full although it says nothing new.
WHOLE_EVERY = 30.0

_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)


class _Said(msgspec.Struct):
    """What a host said when it was written in full."""

    state: object
    at: float
    #: The numbers up to which the record had all of its events.
    complete: EventNumbers | None = None


class Repeats:
    """The memory of one reconciler. It holds the hosts that were written in full during the last `whole_every` s."""

    def __init__(self, whole_every: float = WHOLE_EVERY, clock: Callable[[], float] = time.monotonic) -> None:
        self._whole_every = whole_every
        self._clock = clock
        #: In the order in which they were written.
        self._said: dict[str, _Said] = {}

    def repeated(self, seen: HostSeen) -> bool:
        """Whether the record has the state of the host and of its processes as `seen` has them."""
        said = self._said.get(seen.host)
        return said is not None and self._clock() - said.at < self._whole_every and said.state == _state(seen)

    def complete(self, seen: HostSeen) -> bool:
        """Whether the record has all events that `seen` announces, and its controller was told so."""
        said = self._said.get(seen.host)
        return said is not None and said.complete is not None and said.complete == seen.numbers

    def remember(self, seen: HostSeen) -> None:
        """`seen` was written in full, and that is committed."""
        self._said.pop(seen.host, None)
        self._said[seen.host] = _Said(_state(seen), self._clock())
        self._prune()

    def remember_complete(self, seen: HostSeen) -> None:
        """The record has all events that `seen` announces."""
        if said := self._said.get(seen.host):
            said.complete = seen.numbers

    def forget(self, events: Iterable[AnyEvent]) -> None:
        """Forget the hosts of which these events tell something else."""
        for event in events:
            if isinstance(event, ProcessChanged | HostLeft):
                self._said.pop(event.host, None)

    def __len__(self) -> int:
        """The number of hosts in memory."""
        return len(self._said)

    def _prune(self) -> None:
        """Hosts with random names come and go."""
        limit = self._clock() - self._whole_every
        while (oldest := next(iter(self._said))) and self._said[oldest].at <= limit:
            del self._said[oldest]


def split(events: Iterable[AnyEvent], repeats: Repeats) -> tuple[list[HostSeen], list[AnyEvent]]:
    """The latest heartbeat of each host that only repeats itself, and all other events.

    Where one heartbeat of a host says something new, all of them count as new: which is the latest is for `fold`.
    """
    latest: dict[str, HostSeen] = {}
    whole: set[str] = set()
    for event in events:
        if isinstance(event, HostSeen) and event.host not in whole:
            if not repeats.repeated(event):
                whole.add(event.host)
            elif event.host not in latest or event.at > latest[event.host].at:
                latest[event.host] = event
    repeated = [seen for host, seen in latest.items() if host not in whole]
    hosts = {seen.host for seen in repeated}
    return repeated, [event for event in events if not (isinstance(event, HostSeen) and event.host in hosts)]


def _state(seen: HostSeen) -> object:
    """What is recorded of a heartbeat, but for its running tasks and its numbers: those are looked at each time."""
    processes = tuple(msgspec.structs.replace(process, host="", at=_ANY_TIME) for process in seen.processes)
    return processes, seen.proof, seen.proof_detail, clock_ahead(seen)


def clock_ahead(seen: HostSeen) -> float | None:
    """By how much the clock of its host is ahead, in tenths of a second."""
    return None if seen.clock_ahead is None else round(seen.clock_ahead, 1)
