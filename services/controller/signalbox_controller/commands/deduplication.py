"""Deduplication of commands: an id that comes again gets the same answer, and has no second effect."""

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
#: Answers about more tasks than this are not kept, as ten thousand take megabytes: they are given once.
KEPT = 500


class SeenCommand(msgspec.Struct):
    """A command that was begun; without an answer it is still being carried out."""

    until: float
    answer: Answered | None = None
    #: It was sent again before its answer was known, so that somebody may wait for a second one.
    came_again: bool = False


class Deduplication:
    """The commands of the last hour or so."""

    def __init__(self, journal: Journal, *, limit: int = LIMIT, clock: Callable[[], float] = time.time) -> None:
        """`journal` keeps the ids of what was carried out across restarts; the answers are not kept."""
        self._journal = journal
        self._limit = limit
        self._clock = clock
        self._commands: OrderedDict[str, SeenCommand] = OrderedDict()

    def find(self, command_id: str) -> SeenCommand | None:
        """The command, with its answer; None when it is new, or of a former run of this controller."""
        return self._commands.get(command_id)

    def carried_out_before(self, command_id: str) -> bool:
        """Whether a former run of this controller carried it out."""
        return command_id in self._journal

    def begin(self, command_id: str, expires_at: datetime) -> None:
        """Note that it is being carried out; cancels are carried out even after they expired."""
        self._forget()
        self._commands[command_id] = SeenCommand(max(expires_at.timestamp(), self._clock()) + BEYOND)

    def finish(self, answer: Answered) -> bool:
        """Note that it was carried out, with its answer; return whether it was sent again in the meantime."""
        command = self._commands.get(answer.command_id)
        if command is None:
            return False
        command.answer = answer if len(answer.tasks) <= KEPT else None
        self._journal.add(answer.command_id, max(1.0, command.until - self._clock()))
        return command.came_again

    async def sync(self) -> None:
        """Return when the disk has the ids of all that was carried out."""
        await self._journal.sync()

    def _forget(self) -> None:
        """Commands live about equally long, so that the first in are the first to go."""
        now = self._clock()
        while self._commands:
            oldest = next(iter(self._commands.values()))
            if oldest.until > now and len(self._commands) < self._limit:
                return
            self._commands.popitem(last=False)
