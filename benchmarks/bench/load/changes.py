"""Load of changes: `python -m bench.load.changes EVENTS_A_SECOND SECONDS`, with the bus in SIGNALBOX_REDIS_URL.

Publishes at an even pace, as hosts do, that tasks start. Prints a JSON object at the end.
"""

import asyncio
import os
import sys
from contextlib import aclosing

from bench.load.measured import print_measured
from bench.load.tasks import a_task
from signalbox.bus.connection import connect
from signalbox.bus.publisher import publish_events

#: Publications a second.
_BEATS = 20


async def main(rate: str, seconds: str) -> None:
    """Publish."""
    clock = asyncio.get_running_loop().time
    async with aclosing(connect(os.environ["SIGNALBOX_REDIS_URL"])) as redis:
        with print_measured():
            begun, done = clock(), 0
            while (now := clock() - begun) < float(seconds):
                due = round(now * float(rate))
                await publish_events(redis, [a_task(number)[1] for number in range(done, due)])
                done = due
                await asyncio.sleep(1 / _BEATS)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
