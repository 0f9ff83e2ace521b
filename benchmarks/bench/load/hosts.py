"""Load of idle hosts: `python -m bench.load.hosts COUNT SECONDS`, with the bus in SIGNALBOX_REDIS_URL.

Each publishes its heartbeat as an idle controller does, with one worker, and answers each cancel that it has no such
task, when a controller among so many would. Prints a JSON object at the end.
"""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from random import uniform

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
from signalbox.messages.verdicts import Verdict
from signalbox_controller.commands.spread import delays

#: Hosts whose heartbeats are published at the same moment.
_TOGETHER = 10
#: Seconds from a command to the first answers, and between two publications of a client that has to be many hosts.
_FIRST, _TICK = 0.002, 0.002


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


async def answer(redis: Redis, names: Sequence[str]) -> None:
    """Answer cancels for these hosts, for ever; another host has the task."""
    position: bytes = b"$"
    async with asyncio.TaskGroup() as answering:
        while True:
            for entry in entries_of(await redis.xread({streams.COMMANDS: position}, block=1000)):
                position = entry.position
                command = decode_command(entry.data)
                if isinstance(command, CancelTask):
                    answering.create_task(know_nothing(redis, command, names, delays(len(names) + 1)))


async def know_nothing(redis: Redis, command: CancelTask, hosts: Sequence[str], over: tuple[float, float]) -> None:
    """Publish the answers of hosts that have nothing of a cancel, between so many seconds."""
    began = time.monotonic() + _FIRST
    due = sorted((began + uniform(*over), host) for host in hosts)  # noqa: S311 - no secret
    while due:
        await asyncio.sleep(_TICK)
        now = time.monotonic()
        count = next((place for place, (at, _) in enumerate(due) if at > now), len(due))
        answers = [answered(command, host, "unknown") for _, host in due[:count]]
        due = due[count:]
        if answers:
            await publish_events(redis, [done for done, _ in answers], [answer for _, answer in answers])


def answered(command: CancelTask, host: str, verdict: Verdict) -> tuple[CommandDone, Answered]:
    """The answer of a host to a cancel, as the event and as the receipt."""
    answer = Answered(command_id=command.command_id, at=utc_now(), host=host, verdict=verdict, task_id=command.task_id)
    return CommandDone(**{name: getattr(answer, name) for name in CommandDone.__struct_fields__}), answer


def _groups(names: list[str], size: int) -> list[list[str]]:
    return [names[place : place + size] for place in range(0, len(names), size)]


async def main(count: str, seconds: str) -> None:
    """Publish for so many seconds, evenly spread."""
    names, since = [f"idle-{number}" for number in range(int(count))], utc_now()
    groups = _groups(names, _TOGETHER)
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
