"""Shares: who may hold how many connections, and which one is closed for a new one. No I/O."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal, Protocol

import msgspec

#: idle: no request is under way. reading: one arrives. busy: one is answered, or it is a websocket.
State = Literal["idle", "reading", "busy"]

#: The states that a new connection may end, in this order.
_ENDED: tuple[State, ...] = ("idle", "reading")


class Refusal(msgspec.Struct, frozen=True):
    """Why a connection is not let in, or is closed."""

    status: int
    message: str


class Member(Protocol):
    """Connection that takes part."""

    def give_way(self) -> None:
        """Close; a new connection needs the place."""


class Shares:
    """Counts connections by their source.

    A source at its share, or all at the limit of all, loses the connection that has been idle for longest, then the
    one whose request has been arriving for longest. One that is answered is never closed for another.

    Args:
        most: connections in all.
        of_source: connections of one source.
        is_proxy: whether a source is a named proxy, which has no limit of its own: it carries the connections of many.
    """

    def __init__(self, most: int, of_source: int, is_proxy: Callable[[str], bool] = lambda _: False) -> None:
        self._most = most
        self._of_source = of_source
        self._is_proxy = is_proxy
        self._held: dict[Member, tuple[str, State]] = {}
        self._sources: dict[str, dict[State, dict[Member, None]]] = {}
        #: Connections and requests that were refused, by the status that says why; counted by the protocol.
        self.refused = Counter[int]()

    def __len__(self) -> int:
        return len(self._held)

    def enter(self, member: Member, source: str) -> Refusal | None:
        """Add an idle connection, for which another one may be closed; or say why there is no place for it."""
        if refusal := self._make_room(source):
            return refusal
        self._put(member, source, "idle")
        return None

    def change(self, member: Member, state: State) -> None:
        """A connection is in this state from now on, as the last one of it."""
        if held := self._held.get(member):
            self.leave(member)
            self._put(member, held[0], state)

    def replace(self, member: Member, by: Member) -> None:
        """A connection has become a websocket."""
        if held := self._held.get(member):
            self.leave(member)
            self._put(by, held[0], "busy")

    def leave(self, member: Member) -> None:
        """Forget a connection; one that is not known is none."""
        if held := self._held.pop(member, None):
            source, state = held
            del self._sources[source][state][member]
            if not any(self._sources[source].values()):
                del self._sources[source]

    def _put(self, member: Member, source: str, state: State) -> None:
        self._held[member] = source, state
        states = self._sources.setdefault(source, {"idle": {}, "reading": {}, "busy": {}})
        states[state][member] = None

    def _make_room(self, source: str) -> Refusal | None:
        if not self._is_proxy(source) and self._size(source) >= self._of_source:
            words = f"{self._of_source} connections of your address are in use already; close some, or try again"
            return None if self._end_one(iter([source])) else Refusal(429, words)
        if len(self) >= self._most:
            words = f"All {self._most} connections of this api are in use; try again"
            return None if self._end_one(self._largest_first(source)) else Refusal(503, words)
        return None

    def _largest_first(self, source: str) -> Iterator[str]:
        """The sources that hold as much as this one or more."""
        least = self._size(source)
        yield from sorted((one for one in self._sources if self._size(one) >= least), key=self._size, reverse=True)

    def _end_one(self, sources: Iterator[str]) -> bool:
        candidates = list(sources)
        for state in _ENDED:
            for source in candidates:
                if member := next(iter(self._sources.get(source, {}).get(state, ())), None):
                    self.leave(member)
                    member.give_way()
                    return True
        return False

    def _size(self, source: str) -> int:
        return sum(map(len, self._sources.get(source, {}).values()))
