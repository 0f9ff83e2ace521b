"""The shop, in a worker that writes down how long its event loop has been kept from turning."""

import os
import sys
import time
from pathlib import Path
from typing import Any

from celery import bootsteps

sys.path.insert(0, str(Path(__file__).parents[3] / "examples"))

from shop.app import app

#: Seconds between two looks at the clock.
EVERY = 0.005
#: Where the longest turn since the file was removed is written, in seconds.
FILE = Path(os.environ["TURNS_FILE"])


def _waited() -> float:
    """Seconds for which this process was ready to run, and others had the machine."""
    return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9


class Turns(bootsteps.StartStopStep):
    """Looks at the clock on the loop itself."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def register_with_event_loop(self, _consumer: Any, hub: Any) -> None:
        self._at, self._ready, self._longest = time.monotonic(), _waited(), 0.0
        hub.call_repeatedly(EVERY, self._look)

    def _look(self) -> None:
        now, ready = time.monotonic(), _waited()
        turn = now - self._at - (ready - self._ready)
        self._at, self._ready = now, ready
        if not FILE.exists():
            self._longest = turn
        elif turn <= self._longest:
            return
        self._longest = turn
        FILE.write_text(f"{turn:.6f}", encoding="utf-8")


app.steps["consumer"].add(Turns)
