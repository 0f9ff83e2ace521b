"""The reader of commands on a Redis that comes and goes while one of them is considered."""

import asyncio
from typing import cast

from signalbox.bus import names
from signalbox.bus.connection import connect
from signalbox.bus.consumer import Consumer, Entry
from signalbox.errors import BusUnavailable
from signalbox_controller.commands.dispatcher import Dispatcher
from signalbox_controller.commands.reader import Reader
from support.eventually import eventually
from support.stores.server import Redis


class Interrupted:
    """Considers commands, for which it asks Redis; that does not answer the first time."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    async def take(self, entry: Entry) -> None:
        self.taken.append(entry.data)
        if len(self.taken) == 1:
            raise BusUnavailable("Redis does not answer: Timeout reading from socket")


async def test_a_command_that_redis_interrupts_comes_again_and_is_no_dead_letter(valkey: Redis) -> None:
    redis, dispatcher = connect(valkey.url), Interrupted()
    commands = Consumer(redis, names.COMMANDS, names.host_group("web-01"), "web-01", batch=100)
    reader = asyncio.create_task(Reader(commands, cast("Dispatcher", dispatcher)).run())
    try:
        await redis.xadd(names.COMMANDS, {"data": b"a cancel", "sig": b"s"})

        async def settled() -> bool:
            return len(dispatcher.taken) > 1 or bool(await redis.exists(names.dead(names.COMMANDS)))

        await eventually(settled, "the command is taken again, or buried")
        assert dispatcher.taken == [b"a cancel", b"a cancel"]
        assert not await redis.exists(names.dead(names.COMMANDS))
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        await redis.aclose()
