"""Whether an agent answers. It runs on the loop that fetches tasks: where that stands still, the worker takes none."""

#: Seconds between two pings.
EVERY = 2.0
#: Pings in a row without a word after which an agent is silent. Counted and not timed: when we ourselves stood still,
#: what it said meanwhile waits to be read.
UNANSWERED = 4


class Pulse:
    """The signs of life on one connection."""

    def __init__(self) -> None:
        self._unanswered = 0

    def heard(self) -> bool:
        """Take one; whether it ends a silence."""
        silent, self._unanswered = self._unanswered > UNANSWERED, 0
        return silent

    def ping(self) -> bool:
        """Another ping goes out; whether it is silent from now on."""
        self._unanswered += 1
        return self._unanswered == UNANSWERED + 1
