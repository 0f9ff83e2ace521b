"""An answer that is followed while it comes about: lines of JSON, the last of which is the answer itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from signalbox.client.bulk import Progress
from signalbox.errors import SignalboxError
from signalbox_api.answers.bulk import BulkAnswer, BulkProgress
from signalbox_api.answers.replies import ErrorAnswer

#: The media type: newline-delimited JSON.
LINES = "application/x-ndjson"

_encoder = msgspec.json.Encoder()


class Following:
    """Work that tells how far it is; what is not read in time is replaced by what is newer."""

    def __init__(self, work: Callable[[Progress], Awaitable[tuple[int, BulkAnswer]]]) -> None:
        self._news = asyncio.Event()
        self._latest: BulkProgress | None = None
        self._work = asyncio.ensure_future(work(self._tell))
        self._work.add_done_callback(lambda _: self._news.set())

    def _tell(self, done: int, total: int) -> None:
        self._latest = BulkProgress(done=done, total=total)
        self._news.set()

    async def begin(self) -> AsyncIterator[bytes]:
        """The lines, once there is one: what fails before is an answer of its own.

        Raises:
            SignalboxError: nothing was begun.
        """
        try:
            await self._news.wait()
        except asyncio.CancelledError:
            self._work.cancel()
            raise
        if self._work.done():
            self._work.result()
        return self._lines()

    async def _lines(self) -> AsyncIterator[bytes]:
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                if self._work.done():
                    break
                if self._latest is not None:
                    yield _line(self._latest)
            yield _line(self._end())
        finally:
            self._work.cancel()  # whoever asked does not listen any more; what was commanded goes on

    def _end(self) -> msgspec.Struct:
        try:
            return self._work.result()[1]
        except SignalboxError as error:
            return ErrorAnswer(message=str(error))


def _line(struct: msgspec.Struct) -> bytes:
    return _encoder.encode(struct) + b"\n"
