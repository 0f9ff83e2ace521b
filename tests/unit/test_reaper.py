"""Dead children are reaped, also when the signal that told of them was lost."""

import asyncio
import os

from signalbox_controller.linux.reaper import Reaper
from support.eventually import HANGS


async def test_a_child_whose_signal_was_lost_is_collected_all_the_same() -> None:
    collected = asyncio.Event()
    reaper = Reaper()
    child = os.posix_spawn("/bin/true", ["true"], {})

    def collect() -> None:
        os.waitpid(child, 0)
        collected.set()

    reaper.collect_with(child, collect)
    looking = asyncio.create_task(reaper.run())
    try:
        await asyncio.wait_for(collected.wait(), HANGS)
    finally:
        looking.cancel()
