"""Load of idle hosts: `python -m bench.load.hosts COUNT SECONDS`, with the bus in SIGNALBOX_REDIS_URL.

Each publishes its heartbeat as an idle controller does, with one worker, and answers each cancel that it has no such
task. Prints a JSON object at the end.
"""

import asyncio
import os
import sys
from contextlib import aclosing
from datetime import datetime
from typing import TypedDict

from redis.asyncio import Redis

from bench.load.measured import print_measured
from signalbox.bus import names as streams
from signalbox.bus.connection import connect
from signalbox.bus.consumer import entries_of
from signalbox.bus.presence import HEARTBEAT, announce
from signalbox.bus.publisher import publish_events
from signalbox.messages.base import utc_now
from signalbox.messages.codec import decode_command
from signalbox.messages.commands import CancelTask
from signalbox.messages.events import CommandDone, HostSeen, ProcessChanged
from signalbox.messages.receipts import Answered

#: Hosts whose heartbeats are published at the same moment, and whose answers are: those are due at once.
_BEAT_TOGETHER, _ANSWER_TOGETHER = 10, 250


class _About(TypedDict):
    at: datetime
    command_id: str
    task_id: str


async def beat(redis: Redis, names: list[str], since: datetime) -> None:
    """Announce these hosts and publish their heartbeats."""
    now = utc_now()
    for name in names:
        await announce(redis, name)
        worker = ProcessChanged(
            at=now,
            host=name,
            name="worker",
            kind="worker",
            state="running",
            desired="running",
            since=since,
            pid=4711,
            node=f"worker@{name}",
            queues=("celery",),
        )
        await publish_events(redis, [HostSeen(at=now, host=name, processes=(worker,), interval=HEARTBEAT)])


async def answer(redis: Redis, names: list[str]) -> None:
    """Answer cancels for these hosts, for ever."""
    position: bytes = b"$"
    while True:
        for entry in entries_of(await redis.xread({streams.COMMANDS: position}, block=1000)):
            position = entry.position
            command = decode_command(entry.data)
            if isinstance(command, CancelTask):
                for group in _groups(names, _ANSWER_TOGETHER):
                    await _deny(redis, group, command)


async def _deny(redis: Redis, names: list[str], command: CancelTask) -> None:
    about: _About = {"at": utc_now(), "command_id": command.command_id, "task_id": command.task_id}
    events = [CommandDone(host=name, verdict="unknown", **about) for name in names]
    await publish_events(redis, events, [Answered(host=name, verdict="unknown", **about) for name in names])


def _groups(names: list[str], size: int) -> list[list[str]]:
    return [names[place : place + size] for place in range(0, len(names), size)]


async def main(count: str, seconds: str) -> None:
    """Publish for so many seconds, evenly spread."""
    names, since = [f"idle-{number}" for number in range(int(count))], utc_now()
    groups = _groups(names, _BEAT_TOGETHER)
    clock = asyncio.get_running_loop().time
    url = os.environ["SIGNALBOX_REDIS_URL"]
    async with aclosing(connect(url)) as redis, aclosing(connect(url)) as other:
        answering = asyncio.create_task(answer(other, names))
        with print_measured():
            begun, number = clock(), 0
            while (due := number * HEARTBEAT / len(groups)) < float(seconds):
                await asyncio.sleep(max(0.0, begun + due - clock()))
                await beat(redis, groups[number % len(groups)], since)
                number += 1
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
