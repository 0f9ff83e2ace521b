"""What supervision costs an idle host."""

import asyncio
import os
import re
import sys
from pathlib import Path

from support.eventually import HANGS

ROOT = Path(__file__).parents[2]
SECONDS = 8


async def test_an_idle_worker_is_supervised_for_less_than_a_percent_of_a_core_and_60_megabytes() -> None:
    bench = await asyncio.create_subprocess_exec(
        sys.executable,
        ROOT / "benchmarks" / "footprint.py",
        "--seconds",
        str(SECONDS),
        env=os.environ | {"PYTHONPATH": str(ROOT / "deploy" / "local")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(HANGS):
        said = (await bench.communicate())[0].decode()
    together = re.search(r"together\s+([\d.]+) % of a core\s+([\d.]+) MB", said)
    assert together, said
    cpu, memory = map(float, together.groups())
    assert 0.0 < cpu < 1.0, said
    assert 5.0 < memory < 60.0, said
    assert bench.returncode == 0, said
    print(said)  # noqa: T201 - the figures of this machine
