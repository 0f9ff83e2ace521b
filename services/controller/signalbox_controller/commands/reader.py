"""Reader of the command stream: hands many commands to the dispatcher at once, so that a slow stop delays no cancel."""

import asyncio
import logging

from redis.exceptions import RedisError

from signalbox.bus.consumer import Consumer, Entry
from signalbox.errors import BusUnavailable
from signalbox.service import Backoff
from signalbox_controller.commands.dispatcher import Dispatcher, Unacceptable

log = logging.getLogger(__name__)

#: Commands that are carried out at once; more wait in Redis.
AT_ONCE = 512


class Reader:
    """One loop that reads the stream, and an asyncio task for each command."""

    def __init__(self, consumer: Consumer, dispatcher: Dispatcher, *, at_once: int = AT_ONCE) -> None:
        self._consumer = consumer
        self._dispatcher = dispatcher
        self._slots = asyncio.Semaphore(at_once)
        #: Positions of entries that are being carried out: Redis hands them out again after an error.
        self._open: set[bytes] = set()
        self._reading = True

    async def run(self) -> None:
        """Read until cancelled; an entry that is not finished then stays unacknowledged, and is delivered again."""
        backoff = Backoff(first=0.05, most=2.0)
        async with asyncio.TaskGroup() as handling:
            while True:
                try:
                    entries = await self._consumer.read()
                except (BusUnavailable, RedisError) as error:
                    self._note(reading=False, why=error)
                    # A read that failed may have handed something out all the same.
                    self._consumer.rewind()
                    await backoff.pause()
                    continue
                self._note(reading=True)
                backoff.reset()
                for entry in entries:
                    if entry.position not in self._open:
                        await self._slots.acquire()
                        self._open.add(entry.position)
                        handling.create_task(self._handle(entry))

    async def _handle(self, entry: Entry) -> None:
        try:
            await self._take(entry)
        except (BusUnavailable, RedisError) as error:
            log.info("Entry %s could not be finished (%s); it will come again", entry.position.decode(), error)
            self._consumer.rewind()
        finally:
            self._open.discard(entry.position)
            self._slots.release()

    async def _take(self, entry: Entry) -> None:
        try:
            await self._dispatcher.take(entry)
        except Unacceptable as reason:
            await self._consumer.dead_letter(entry, str(reason))
        except BusUnavailable:
            raise  # it was not carried out: nothing is wrong with it
        except Exception as error:
            log.exception("Entry %s: our own code failed", entry.position.decode())
            await self._consumer.dead_letter(entry, f"the controller failed at it: {error!r}")
        else:
            await self._consumer.acknowledge([entry])

    def _note(self, *, reading: bool, why: Exception | None = None) -> None:
        if reading != self._reading:
            self._reading = reading
            if reading:
                log.info("Commands are read again")
            else:
                log.warning("No command can be read: %s; supervision goes on", why)
