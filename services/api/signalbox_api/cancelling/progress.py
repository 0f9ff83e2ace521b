"""Progress of a cancel of many tasks: lines of JSON, the last of which is the answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from signalbox.client.bulk import Progress
from signalbox.errors import SignalboxError
from signalbox.lines import encode_line
from signalbox_api.answers.bulk_cancel import BulkAnswer, BulkProgress
from signalbox_api.answers.json_response import ErrorAnswer

#: The media type: newline-delimited JSON.
LINES = "application/x-ndjson"


class ProgressLines:
    """Lines of a cancel that is under way; a line that is not read in time is replaced by a newer one."""

    def __init__(self, work: Callable[[Progress], Awaitable[tuple[int, BulkAnswer]]]) -> None:
        self._changed = asyncio.Event()
        self._latest: BulkProgress | None = None
        self._work = asyncio.ensure_future(work(self._note))
        self._work.add_done_callback(lambda _: self._changed.set())

    def _note(self, done: int, total: int) -> None:
        self._latest = BulkProgress(done=done, total=total)
        self._changed.set()

    async def begin(self) -> AsyncIterator[bytes]:
        """Wait for the first line, and return all of them.

        Raises:
            SignalboxError: the cancel failed before it began.
        """
        try:
            await self._changed.wait()
        except asyncio.CancelledError:
            self._work.cancel()
            raise
        if self._work.done():
            self._work.result()
        return self._lines()

    async def _lines(self) -> AsyncIterator[bytes]:
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                if self._work.done():
                    break
                if self._latest is not None:
                    yield encode_line(self._latest)
            yield encode_line(self._end())
        finally:
            self._work.cancel()  # the caller has gone; the command goes on

    def _end(self) -> msgspec.Struct:
        try:
            return self._work.result()[1]
        except SignalboxError as error:
            return ErrorAnswer(message=str(error))
