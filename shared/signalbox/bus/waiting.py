"""Questions about tasks that the record shows as waiting: the reconciler asks, every controller compares.

A short stream holds the latest questions. One that is lost is asked anew; the answers are events (`WaitingCompared`).
"""

import logging
from collections.abc import Sequence

import msgspec
from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.connection import bus_errors
from signalbox.bus.consumer import entries_of
from signalbox.errors import UnreadableMessage
from signalbox.lines import encode, reader
from signalbox.messages.base import Moment

log = logging.getLogger(__name__)

#: Questions that the stream holds; each has at most `store.waiting.TASKS` tasks (some 120 bytes each).
LENGTH = 8


class WaitingTask(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task that the record shows as waiting, and its latest holder."""

    task_id: str
    host: str
    #: Celery's node name.
    worker: str
    queue: str
    #: Whether it waits for another attempt: its new message may be in a queue that its worker does not consume.
    retried: bool = False


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """The tasks of one round."""

    #: The time of the round by the clock of PostgreSQL, which names it.
    asked_at: Moment
    tasks: tuple[WaitingTask, ...]


_decode = reader(msgspec.json.Decoder(Question))


async def ask(redis: Redis, question: Question) -> None:
    """Put a question to every controller.

    Raises:
        BusUnavailable: it may not have been asked.
    """
    async with bus_errors(redis):
        await redis.xadd(names.WAITING, {"data": encode(question)}, maxlen=LENGTH, approximate=False)


class Questions:
    """A reader of the questions."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._position = b"0"

    async def read(self) -> Sequence[Question]:
        """The questions since the last read; the first time, those that the stream holds.

        Raises:
            BusUnavailable: Redis is away.
        """
        async with bus_errors(self._redis):
            entries = entries_of(await self._redis.xread({names.WAITING: self._position}))
        questions = []
        for entry in entries:
            self._position = entry.position
            try:
                questions.append(_decode(entry.data))
            except UnreadableMessage as error:
                log.error("A question about waiting tasks is unreadable: %s", error)  # noqa: TRY400
        return questions
