"""How late a badge follows the truth: on an open page, and on the live websocket.

The truth is the kernel's (`/proc`) when a process ends, and Celery's own log when a worker is ready.
"""

import asyncio
import json
import re
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from playwright.async_api import Page
from websockets.asyncio.client import ClientConnection, connect

from support.eventually import eventually, eventually_blocking
from support.host import lives
from support.page import look_at
from support.system import System

#: Takes down when the page shows what of a process, and the word of each badge; seconds since 1970.
WATCH = """() => {
  window.history_ = [];
  const note = (what, text) => {
    const last = window.history_.findLast((one) => one.what === what);
    if (last?.text !== text) window.history_.push({what, text, at: Date.now() / 1000});
  };
  const look = () => {
    for (const row of document.querySelectorAll("[data-process]")) {
      note(row.dataset.name, row.dataset.state);
      const said = row.querySelector("[data-testid=process-message]");
      if (said?.localName === "pre") note(row.dataset.name + " log", said.textContent);
    }
    const badges = document.querySelectorAll(".badges [data-state], [data-testid=host-badge]");
    for (const badge of badges) note(badge.dataset.testid, badge.dataset.state);
  };
  const all = {subtree: true, childList: true, attributes: true, characterData: true};
  new MutationObserver(look).observe(document.body, all);
  look();
}"""
#: Seconds within which a badge has to follow the truth.
AT_ONCE = 0.3
#: A page tells its time in whole milliseconds, rounded down; in seconds.
GRAIN = 0.001
#: A log's line is this much older than the signal that follows it; in seconds.
LINE_FIRST = 0.005

_READY = re.compile(r"^\[(.*?): INFO/MainProcess\] worker@\S+ ready\.$", re.MULTILINE)


@dataclass
class Lateness:
    """Seconds from the truth to each place that shows it, round by round; below zero where it was shown too early."""

    #: From the end of the last pid to "stopped".
    stopped: dict[str, list[float]] = field(default_factory=dict)
    #: From Celery's own word that it is ready to "running".
    running: dict[str, list[float]] = field(default_factory=dict)

    def note(self, state: str, what: str, late: float) -> None:
        """Take down one."""
        place: dict[str, list[float]] = getattr(self, state)
        place.setdefault(what, []).append(late)

    @property
    def on_time(self) -> bool:
        """Whether nothing was shown too late: for benchmarks, as a busy machine shows everything late."""
        return max(self.all_of("stopped") + self.all_of("running")) <= AT_ONCE

    @property
    def true(self) -> bool:
        """Whether nothing was shown before it was so."""
        return min(self.all_of("stopped")) > -GRAIN and min(self.all_of("running")) > -LINE_FIRST

    def report(self) -> str:
        """The figures, a line for each place where a state is shown."""
        return "\n".join(
            f"{state:9}{what:14} p50 {statistics.median(late) * 1000:6.1f} ms"
            f"   min {min(late) * 1000:6.1f} ms   max {max(late) * 1000:6.1f} ms"
            for state, places in (("stopped", self.stopped), ("running", self.running))
            for what, late in places.items()
        )

    def all_of(self, state: str) -> list[float]:
        """Wherever it was shown."""
        found: dict[str, list[float]] = getattr(self, state)
        return [late for place in found.values() for late in place]


async def shown(page: Page, what: str, text: str, after: float) -> float:
    """When a page under WATCH first showed this, after a moment."""

    async def look() -> float | None:
        history: list[dict[str, Any]] = await page.evaluate("window.history_")
        times = [one["at"] for one in history if one["what"] == what and one["text"] == text and one["at"] > after]
        return min(times, default=None)

    return await eventually(look, f"{what} {text} on the page")


class Listener:
    """A program on the live websocket that takes down when it heard what of a process."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._heard: list[tuple[float, str, str]] = []

    async def listen(self) -> None:
        """Until the connection is closed."""
        async for frame in self._socket:
            for change in json.loads(frame).get("changes", ()):
                if change["kind"] == "process":
                    self._heard.append((time.time(), change["row"]["name"], change["row"]["state"]))

    async def heard(self, name: str, state: str, after: float) -> float:
        """When it first heard this, after a moment."""

        async def look() -> float | None:
            return min(
                (at for at, who, what in self._heard if at > after and (who, what) == (name, state)), default=None
            )

        return await eventually(look, f"{name} {state} on the websocket")


@asynccontextmanager
async def a_listener(system: System) -> AsyncIterator[Listener]:
    """Connect to the live websocket as a program does."""
    url = f"{system.url.replace('http', 'ws')}/scheduler/live/"
    async with connect(url, additional_headers={"Authorization": f"Bearer {system.run.token}"}, proxy=None) as socket:
        listener = Listener(socket)
        listening = asyncio.ensure_future(listener.listen())
        try:
            yield listener
        finally:
            await socket.close()
            await listening


async def measure(system: System, page: Page, rounds: int) -> Lateness:
    """Stop and start all of Celery so many times, with the page open on its processes."""
    late = Lateness()
    await look_at(page, "#/processes")
    await system.celery_when("running")
    await page.evaluate(WATCH)
    async with a_listener(system) as listener:
        for _ in range(rounds):
            gone = await _stop(system, page, listener, late)
            await _start(system, page, listener, late, gone)
    return late


async def _stop(system: System, page: Page, listener: Listener, late: Lateness) -> float:
    [host] = (await system.celery_when("running"))["hosts"]
    families = {process["name"]: _family(process["pid"]) for process in host["processes"]}
    begun = time.time()
    async with system.client() as client:
        answer = asyncio.ensure_future(client.post("/scheduler/stop-celery/", json={"mode": "immediate"}))
        watches = [asyncio.to_thread(_last_gone, pids) for pids in families.values()]
        gone = dict(zip(families, await asyncio.gather(*watches), strict=True))
        (await answer).raise_for_status()
    last: float = max(gone.values())
    late.note("stopped", "websocket", await listener.heard("worker", "stopped", begun) - gone["worker"])
    for what, end in {"worker": gone["worker"], "beat": gone["beat"], "badge-celery": last, "host-badge": last}.items():
        late.note("stopped", what, await shown(page, what, "stopped", begun) - end)
    return last


async def _start(system: System, page: Page, listener: Listener, late: Lateness, gone: float) -> None:
    async with system.client() as client:
        (await client.post("/scheduler/start-celery/")).raise_for_status()
    ready = _ready_since(system.data / "logs", gone)
    late.note("running", "websocket", await listener.heard("worker", "running", gone) - ready)
    for what in ("worker", "badge-worker"):
        late.note("running", what, await shown(page, what, "running", gone) - ready)
    await shown(page, "badge-celery", "running", gone)


def _family(pid: int) -> list[int]:
    main = psutil.Process(pid)
    return [main.pid, *(child.pid for child in main.children(recursive=True))]


def _last_gone(pids: list[int]) -> float:
    """Wait until none of them lives; when one of them was last seen to.

    Not when they were found gone: on a busy machine we may look later than the page does.
    """
    seen = time.time()

    def look() -> bool:
        nonlocal seen
        looked = time.time()
        if any(map(lives, pids)):
            seen = looked
            return False
        return True

    eventually_blocking(look, f"the end of {pids}")
    return seen


def _ready_since(logs: Path, after: float) -> float:
    """When the worker last said in its own log that it is ready."""
    said = [found for file in logs.rglob("worker*.log*") for found in _READY.findall(file.read_text(encoding="utf-8"))]
    times = [datetime.strptime(one, "%Y-%m-%d %H:%M:%S,%f").timestamp() for one in said]  # noqa: DTZ007 - local time
    return max(one for one in times if one > after)
