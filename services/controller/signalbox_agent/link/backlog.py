"""Backlog of events that the controller has not acknowledged: bounded, numbered, sent again after a reconnect."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

#: Events that are kept while no controller takes them; about 60 MB at worst.
LIMIT = 100_000


class Backlog:
    """A queue with a memory: what was sent stays until it is acknowledged, the oldest go when it is full."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._sent: deque[tuple[int, bytes]] = deque()
        self._unsent: deque[tuple[int, bytes]] = deque()
        self._acked = 0
        #: The number up to which events, or a gap, were sent on the present connection.
        self._reached = 0
        #: The number of the latest event.
        self.last = 0

    def put(self, event: str, run: str = "") -> bytes:
        """Take in an event (JSON), the last one of a whole run if there are fields of that, and answer its line."""
        self.last += 1
        kind, more = ("run", f",{run}") if run else ("event", "")
        line = f'{{"type":"{kind}","seq":{self.last},"event":{event}{more}}}\n'.encode()
        self._unsent.append((self.last, line))
        if len(self) > self._limit:
            (self._sent or self._unsent).popleft()
        return line

    def everything(self) -> Iterator[bytes]:
        """Every line that is not acknowledged, in order."""
        return (line for queue in (self._sent, self._unsent) for _, line in queue)

    def __len__(self) -> int:
        return len(self._sent) + len(self._unsent)

    @property
    def waiting(self) -> bool:
        """Whether there is something to send."""
        return bool(self._unsent)

    def take(self, size: int) -> Iterator[bytes]:
        """Lines to send, about `size` bytes of them at most; each hole is a line of its own."""
        while self._unsent and size > 0:
            number, line = self._unsent.popleft()
            if (lost := number - self._reached - 1) > 0:
                yield f'{{"type":"gap","lost":{lost}}}\n'.encode()
            self._reached = number
            self._sent.append((number, line))
            size -= len(line)
            yield line

    def ack(self, number: int) -> None:
        """Everything up to this number is safe."""
        self._acked = max(self._acked, number)
        for queue in (self._sent, self._unsent):
            while queue and queue[0][0] <= number:
                queue.popleft()

    def rewind(self, number: int) -> None:
        """A new connection: its peer has everything up to this number; send the rest again."""
        self._unsent.extendleft(reversed(self._sent))
        self._sent.clear()
        # A controller that has forgotten what it acknowledged must not get a loss reported.
        self._reached = max(self._acked, number)
        self.ack(number)
