"""Many open pages: how late changes reach them, and what that costs the api.

Viewers are bare sockets that only look for the time at which a change was published: of what arrives at once the oldest
counts. They show what pages of an operations room do: the list of all tasks, of failed ones, one task, the processes.
`--old` is the interpreter of another commit, whose api is measured in turns with this one's; it may know nothing of
subscriptions, and then sends everything to everybody, as this one does in the rows "everything".
"""

import argparse
import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast
from urllib.parse import quote
from uuid import uuid4

import httpx
import psutil
from redis.asyncio import Redis
from stores import KEY, a_bus_and_a_record, a_service

from signalbox.bus.publisher import publish_changes
from signalbox.messages.base import Status, utc_now
from signalbox.messages.views import Change, TaskView
from signalbox.service import background
from signalbox.settings import Settings
from signalbox_api.bootstrap import bootstrap
from signalbox_local.ports import free_port

#: Publications a second: as often as a reconciler commits.
_TURNS = 100
#: Seconds for everything to start.
_TIMEOUT = 60.0
#: In the arguments of each task: when its change was published.
_SENT = b"sent="
#: All viewers come from this machine, with one token.
_ONE_ADDRESS = {"SIGNALBOX_CONNECTIONS_PER_ADDRESS": "2000", "SIGNALBOX_SOCKETS_PER_CALLER": "2000"}
#: What the viewers show, in turn.
_PAGES: tuple[dict[str, object], ...] = (
    {"tasks": {}, "processes": True},
    {"tasks": {"status": "failed"}, "processes": True},
    {"task": "one task", "processes": True},
    {"tasks": None, "processes": True},
)


@dataclass
class Figures:
    """What was measured with one api."""

    #: Seconds from publication to arrival.
    late: list[float] = field(default_factory=list)
    #: CPU seconds of the api for each second.
    cpu: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0
    arrived: int = 0


class Viewer(asyncio.Protocol):
    """One page, without the page."""

    def __init__(self, request: bytes, figures: Figures) -> None:
        self._request = request
        self._figures = figures
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the websocket."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Note how late the oldest change in it is."""
        place = data.find(_SENT)
        if place >= 0 and len(data) >= place + 22:
            self._figures.late.append(time.time() - float(data[place + 5 : place + 22]))
            self._figures.arrived += data.count(_SENT)

    def close(self) -> None:
        """Leave."""
        if self._transport:
            self._transport.close()


def a_change(number: int) -> Change:
    """A change of a task, one in three of them a new one that runs, ends and fails."""
    task, step = divmod(number, 3)
    statuses: tuple[Status, ...] = ("pending", "running", "failed" if task % 10 == 0 else "completed")
    now = utc_now()
    over: datetime | None = now if step == 2 else None
    view = TaskView(
        task_id=f"{task:08}-1111-4111-8111-111111111111", name="charge", celery_name="shop.charge",
        status=statuses[step],
        outcome=None, confirmed=True, error=None, queue="orders", host="web-07", worker="worker@web-07", pid=4711,
        attempt=1, created_at=now + timedelta(hours=1), started_at=now, finished_at=over, runtime=None, proof=None,
        cancel_requested_at=None, cancel_signal=None, cancel_kill_at=None, left_processes=0,
        args=f"sent={time.time():.6f} ", kwargs="{'order': 4711, 'currency': 'EUR'}",
    )  # fmt: skip
    return Change.of("task", view.task_id, view)


async def publish(redis: Redis, rate: int) -> None:
    """Publish so many changes a second, until cancelled."""
    begin, turn, number = time.monotonic(), 0, 0
    while True:
        turn += 1
        due = turn * rate // _TURNS - number
        await publish_changes(redis, [a_change(number + one) for one in range(due)])
        number += due
        await asyncio.sleep(max(0.0, begin + turn / _TURNS - time.monotonic()))


async def measure(
    api: psutil.Process,
    port: int,
    token: str,
    redis: Redis,
    viewers: int,
    rate: int,
    seconds: float,
    *,
    subscribe: bool,
) -> Figures:
    """Open the pages, publish, and look how late the changes are."""
    figures, loop = Figures(), asyncio.get_running_loop()
    opened: list[Viewer] = []
    for number in range(viewers):
        shown = "?subscription=" + quote(json.dumps(_PAGES[number % len(_PAGES)])) if subscribe else ""
        request = (
            f"GET /scheduler/live/{shown} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        _, viewer = await loop.create_connection(lambda: Viewer(request.encode(), figures), "127.0.0.1", port)  # noqa: B023
        opened.append(viewer)
    await _browsers(port, token, viewers)
    async with background(lambda: publish(redis, rate)):
        await asyncio.sleep(3)
        figures.late.clear()
        figures.arrived = 0
        began, used = time.perf_counter(), sum(api.cpu_times()[:2])
        await asyncio.sleep(seconds)
        figures.cpu_seconds = sum(api.cpu_times()[:2]) - used
        figures.cpu.append(figures.cpu_seconds / (time.perf_counter() - began))
    for viewer in opened:
        viewer.close()
    await _browsers(port, token, 0)
    return figures


async def _browsers(port: int, token: str, count: int) -> None:
    """Wait until so many are connected."""
    deadline = time.monotonic() + _TIMEOUT
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(trust_env=False, headers=headers, timeout=_TIMEOUT) as client:
        while time.monotonic() < deadline:
            text = (await client.get(f"http://127.0.0.1:{port}/metrics")).raise_for_status().text
            if f"signalbox_api_live_browsers {count}\n" in text:
                return
            await asyncio.sleep(0.1)
    raise SystemExit(f"there are not {count} viewers within {_TIMEOUT:g} s")


async def _answers(port: int) -> None:
    deadline = time.monotonic() + _TIMEOUT
    async with httpx.AsyncClient(trust_env=False) as client:
        while time.monotonic() < deadline:
            try:
                if (await client.get(f"http://127.0.0.1:{port}/healthz")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    raise SystemExit(f"an api does not answer within {_TIMEOUT:g} s")


async def benchmark(pythons: dict[str, str], viewers: int, rate: int, seconds: float, rounds: int) -> list[str]:
    """Measure in turns; return the figures, a line each."""
    figures: dict[str, list[Figures]] = {}
    async with a_bus_and_a_record() as stores, AsyncExitStack() as services:
        settings = Settings(redis_url=stores.redis_url, database_url=stores.database_url, key=KEY)
        token = await bootstrap(settings, "admin", uuid4().hex)
        await services.enter_async_context(a_service(sys.executable, "signalbox_reconciler", stores.environ))
        apis: dict[str, tuple[psutil.Process, int]] = {}
        for name, python in pythons.items():
            port = free_port()
            environ = {**stores.environ, **_ONE_ADDRESS, "SIGNALBOX_PORT": str(port)}
            apis[name] = await services.enter_async_context(a_service(python, "signalbox_api", environ)), port
            await _answers(port)
        for _ in range(rounds):
            for name, (api, port) in apis.items():
                for subscribe in (False, True) if name == "new" else (False,):
                    found = await measure(api, port, token, stores.redis, viewers, rate, seconds, subscribe=subscribe)
                    figures.setdefault(f"{name}, {'pages' if subscribe else 'everything'}", []).append(found)
    return [_line(name, of) for name, of in figures.items()]


def _line(name: str, of: list[Figures]) -> str:
    late = [sorted(one.late) for one in of if one.late]
    middle = [times[len(times) // 2] * 1000 for times in late]
    last = [times[len(times) * 99 // 100] * 1000 for times in late]
    cpu = [value * 100 for one in of for value in one.cpu]
    arrived = sum(one.arrived for one in of)
    price = sum(one.cpu_seconds for one in of) / arrived * 1_000_000
    return (
        f"{name:16} p50 {min(middle):5.0f} to {max(middle):5.0f} ms   p99 {min(last):5.0f} to {max(last):5.0f} ms"
        f"   {min(cpu):4.0f} to {max(cpu):4.0f} % of a core"
        f"   {arrived:9,} changes arrived, {price:.2f} CPU-seconds a million"
    )


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--old", help="the interpreter of another commit, in its .venv")
    parser.add_argument("--viewers", type=int, default=1000, help="open pages (default: 1000)")
    parser.add_argument("--rate", type=int, default=300, help="changes a second (default: 300)")
    parser.add_argument("--seconds", type=float, default=10.0, help="for which each is measured (default: 10)")
    parser.add_argument("--rounds", type=int, default=2, help="how often each is measured (default: 2)")
    arguments = parser.parse_args()
    pythons = ({"old": arguments.old} if arguments.old else {}) | {"new": sys.executable}
    lines = asyncio.run(benchmark(pythons, arguments.viewers, arguments.rate, arguments.seconds, arguments.rounds))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
