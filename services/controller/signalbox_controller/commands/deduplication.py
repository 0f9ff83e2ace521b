"""Which commands were seen, and what was answered: the same id again gets the same answer and has no second effect."""

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime

import msgspec

from signalbox.messages.receipts import Answered
from signalbox_controller.state.journal import Journal

#: Seconds for which a command is remembered after it expired, and was begun: until then Redis may hand it out again.
BEYOND = 3600.0
#: Commands that are remembered.
LIMIT = 20_000
#: Tasks that an answer may tell of to be kept: ten thousand take megabytes. A longer one is given once.
KEPT = 500


class Seen(msgspec.Struct):
    """A command that was begun; without an answer it is still being carried out."""

    until: float
    answer: Answered | None = None


class Memory:
    """The commands of the last hour or so."""

    def __init__(self, journal: Journal, *, limit: int = LIMIT, clock: Callable[[], float] = time.time) -> None:
        """`journal` keeps the ids of what was carried out across restarts; the answers are not kept."""
        self._journal = journal
        self._limit = limit
        self._clock = clock
        self._seen: OrderedDict[str, Seen] = OrderedDict()

    def recall(self, command_id: str) -> Seen | None:
        """What became of this command; None when it is new."""
        return self._seen.get(command_id)

    def before(self, command_id: str) -> bool:
        """Whether a former life of this controller carried it out."""
        return command_id in self._journal

    def begin(self, command_id: str, expires_at: datetime) -> None:
        """It is being carried out from now on; some commands are carried out after they expired."""
        self._forget()
        self._seen[command_id] = Seen(max(expires_at.timestamp(), self._clock()) + BEYOND)

    def finish(self, answer: Answered) -> None:
        """It was carried out, and this was answered."""
        seen = self._seen.get(answer.command_id)
        if seen is not None:
            seen.answer = answer if len(answer.tasks) <= KEPT else None
            self._journal.add(answer.command_id, max(1.0, seen.until - self._clock()))

    async def sync(self) -> None:
        """Return when the disk has the ids of all that was carried out."""
        await self._journal.sync()

    def _forget(self) -> None:
        """Commands live about equally long, so that the first in are the first to go."""
        now = self._clock()
        while self._seen:
            oldest = next(iter(self._seen.values()))
            if oldest.until > now and len(self._seen) < self._limit:
                return
            self._seen.popitem(last=False)
