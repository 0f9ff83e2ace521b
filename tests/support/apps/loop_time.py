"""The shop, in a worker that writes down how long its event loop has been kept from turning."""

import os
import sys
import time
from pathlib import Path
from typing import Any

from celery import bootsteps

sys.path.insert(0, str(Path(__file__).parents[3] / "examples"))

from shop.app import app

#: Where the longest turn since the file was removed is written, in seconds.
FILE = Path(os.environ["TURNS_FILE"])


def _waited() -> float:
    """Seconds for which this process was ready to run, and others had the machine."""
    return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9


class Turns(bootsteps.StartStopStep):
    """Takes the time from the end of each wait for something to do to the beginning of the next one."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def register_with_event_loop(self, _consumer: Any, hub: Any) -> None:
        self._wait = hub.poller.poll
        self._at, self._ready, self._longest = time.monotonic(), _waited(), 0.0
        hub.poller.poll = self._poll

    def _poll(self, timeout: float) -> Any:
        self._note(time.monotonic() - self._at - (_waited() - self._ready))
        found = self._wait(timeout)
        self._at, self._ready = time.monotonic(), _waited()
        return found

    def _note(self, turn: float) -> None:
        if not FILE.exists():
            self._longest = 0.0
        if turn > self._longest:
            self._longest = turn
            draft = FILE.with_suffix(".draft")  # nobody must read half a number
            draft.write_text(f"{turn:.6f}", encoding="utf-8")
            draft.replace(FILE)


app.steps["consumer"].add(Turns)
