"""What supervision costs an idle host in memory; what it costs in time is the benchmark's."""

import asyncio
import os
import re
import sys
from pathlib import Path

from support.eventually import HANGS

ROOT = Path(__file__).parents[2]


async def test_an_idle_worker_is_supervised_in_less_than_60_megabytes() -> None:
    bench = await asyncio.create_subprocess_exec(
        *(sys.executable, ROOT / "benchmarks" / "footprint.py", "--seconds", "0.5"),
        env=os.environ | {"PYTHONPATH": str(ROOT / "deploy" / "local")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(2 * HANGS):
        printed = (await bench.communicate())[0].decode()
    together = re.search(r"together .* ([\d.]+) MB", printed)
    assert together, printed
    assert 5.0 < float(together[1]) < 60.0, printed
    print(printed)  # noqa: T201 - the figures of this machine
