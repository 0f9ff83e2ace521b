"""A worker that takes every task there is from its queue, and knows how long its loop was kept from turning."""

import asyncio
import time
from pathlib import Path

from celery import Celery

#: A long one.
TASK = "shop.reports.count_stock"
#: Seconds after which a loop that has nothing more to do has turned.
_SETTLED, _PATIENCE = 0.5, 20.0

#: One worker; TURNS_FILE is where it writes down its longest turn.
GREEDY = f"""
[apps.shop]
app = "loop_time"
directory = "{Path(__file__).parent / "apps"}"
[apps.shop.environment]
SHOP_BROKER_URL = "${{{{SHOP_BROKER_URL}}}}"
SHOP_RESULT_BACKEND = "${{{{SHOP_RESULT_BACKEND}}}}"
SHOP_KEY_PREFIX = ""
TURNS_FILE = "${{{{TURNS_FILE}}}}"
[[apps.shop.workers]]
name = "greedy"
concurrency = 2
options = ["--prefetch-multiplier=100000"]
"""


class LongestTurn:
    """The longest time for which the worker's loop did nothing else."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def forget(self) -> None:
        """Begin anew."""
        self._path.unlink(missing_ok=True)

    @property
    def seconds(self) -> float:
        """Since it was forgotten."""
        return float(self._path.read_text(encoding="utf-8")) if self._path.exists() else 0.0

    async def settled(self) -> float:
        """The same, once it is done with what it was told."""
        until = time.monotonic() + _PATIENCE
        longest, since = self.seconds, time.monotonic()
        while time.monotonic() - since < _SETTLED and time.monotonic() < until:
            await asyncio.sleep(0.05)
            if self.seconds > longest:
                longest, since = self.seconds, time.monotonic()
        return longest


def send_many(app: Celery, count: int, *, queue: str = "celery", seconds: float = 600.0) -> list[str]:
    """Send so many tasks, on one connection; their ids."""
    with app.producer_pool.acquire(block=True) as producer:
        return [
            str(app.send_task(TASK, kwargs={"seconds": seconds}, queue=queue, producer=producer).id)
            for _ in range(count)
        ]
