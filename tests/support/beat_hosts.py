"""What the beats of a fleet send, as it arrives at the broker, and the hosts that may run it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
from redis.asyncio import Redis as Client

from signalbox.bus.connection import UNAVAILABLE, connect
from support.eventually import HANGS, eventually
from support.host import Host, a_host
from support.proxy import Proxy, a_proxy
from support.stores.server import Redis

CONFIGURATION = f"""
[apps.ticker]
app = "ticker"
directory = "{Path(__file__).parent / "apps"}"
[apps.ticker.environment]
SHOP_BROKER_URL = "${{{{SHOP_BROKER_URL}}}}"
[apps.ticker.beat]
stop_timeout = 5.0
"""
#: Seconds within which another host's beat is to send: what the configuration says by default.
LEASE = 10.0


class Tick(msgspec.Struct, frozen=True):
    """One message of a beat."""

    #: On the test's monotonic clock.
    at: float
    task_id: str
    #: The beat that sent it.
    pid: int
    task: str


class Ticks:
    """All messages so far, in the order of their arrival."""

    def __init__(self, broker: Client) -> None:
        self._broker = broker
        self.all: list[Tick] = []

    async def collect(self) -> None:
        """Take the messages off the queue as they come."""
        while True:
            try:
                found = await self._broker.brpop(["celery"], timeout=1)
            except UNAVAILABLE:
                await asyncio.sleep(0.05)
                continue
            if found is not None:
                headers = json.loads(found[1])["headers"]
                pid = int(headers["origin"].partition("@")[0].removeprefix("gen"))
                self.all.append(Tick(time.monotonic(), headers["id"], pid, headers["task"]))

    async def next(self, *, within: float = HANGS, but: Sequence[int] = ()) -> Tick:
        """The next message of a beat that is none of these processes."""
        seen = len(self.all)

        async def look() -> Tick | None:
            return next((tick for tick in self.all[seen:] if tick.pid not in but), None)

        return await eventually(look, "a message of beat", within=within)

    def twice(self) -> list[tuple[Tick, Tick]]:
        """Messages that came so soon after the one before that both are for the same second."""
        pairs = zip(self.all, self.all[1:], strict=False)
        return [(one, other) for one, other in pairs if other.at - one.at < 0.5 or one.task_id == other.task_id]

    def longest_silence(self) -> float:
        """Seconds between the two neighbours that are farthest apart."""
        return max(other.at - one.at for one, other in zip(self.all, self.all[1:], strict=False))


class Candidate(msgspec.Struct):
    """A host that may run beat, and its way to Redis, which is that to the broker, too."""

    name: str
    host: Host
    proxy: Proxy


class BeatHosts(msgspec.Struct):
    """The hosts, and what their beats send."""

    candidates: list[Candidate]
    ticks: Ticks

    async def holder(self, *, within: float = HANGS) -> Candidate:
        """The host that runs beat, as soon as one does."""

        async def look() -> Candidate | None:
            for candidate in self.candidates:
                if candidate.host.workers():
                    return candidate
            return None

        return await eventually(look, "a host with a beat", within=within)


@asynccontextmanager
async def beat_hosts(
    folder: Path,
    redis: Redis,
    names: Sequence[str] = ("web-01", "web-02"),
    *,
    lease: float = LEASE,
    configuration: str = CONFIGURATION,
) -> AsyncIterator[BeatHosts]:
    """Hosts with one beat among them; yielded as soon as that sends."""
    configuration = f"{configuration}lease = {lease}\n"
    async with AsyncExitStack() as stack:
        broker = connect(redis.url_of(1))
        stack.push_async_callback(broker.aclose)
        candidates = []
        for name in names:
            proxy = await stack.enter_async_context(a_proxy(redis.url))
            ways = {"SIGNALBOX_REDIS_URL": proxy.url_of(redis.url), "SHOP_BROKER_URL": proxy.url_of(redis.url_of(1))}
            started = a_host(folder / name, redis, configuration, SIGNALBOX_HOSTNAME=name, **ways)
            candidates.append(Candidate(name, await stack.enter_async_context(started), proxy))
        ticks = Ticks(broker)
        collecting = asyncio.get_running_loop().create_task(ticks.collect())
        try:
            await ticks.next()
            yield BeatHosts(candidates, ticks)
        finally:
            collecting.cancel()
            await asyncio.gather(collecting, return_exceptions=True)
