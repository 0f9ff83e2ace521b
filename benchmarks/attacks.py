"""A cancel while others attack the api: its time, against that without an attack, in turns.

The attacks come from addresses of this machine, of which `--sources` take part, all at once: 2,500 connections that do
nothing, 1,000 requests whose bodies do not come, a head of 100 MB, 10,000 sign-ins with a wrong password. The operator
comes from 127.0.0.2. A host that proves each cancel at once is played, so that the time is that of the api. The attack
is a process of its own, on the same processors. Exits with 1 when the median is more than three times that without an
attack, or a cancel was not answered with proof.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from signalbox.postgres.pool import Database, open_database
from signalbox_local.stores.postgres import EmbeddedPostgres
from signalbox_local.stores.valkey import EmbeddedValkey
from support.api import Api, an_answering_host, an_api, put_task, says
from support.raw_http import RawClient
from support.stores.databases import migrate_all

#: Most that a cancel may take, as a multiple of its usual time.
MOST = 3.0
_OPERATOR = "127.0.0.2"
_POST = b"POST /session HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"


async def cancels(api: Api, database: Database, number: int) -> list[float]:
    """The times of so many cancels, in seconds; infinite where one was not proven."""
    took = []
    transport = httpx.AsyncHTTPTransport(local_address=_OPERATOR)
    headers = {"Authorization": f"Bearer {api.token}"}
    async with httpx.AsyncClient(base_url=api.url, headers=headers, transport=transport, timeout=60.0) as operator:
        for _ in range(number):
            path = f"/scheduler/cancel-task/{await put_task(database)}/"
            began = time.perf_counter()
            answer = await operator.post(path)
            proven = answer.status_code == 200 and answer.json()["verified"]
            took.append(time.perf_counter() - began if proven else float("inf"))
    return took


async def attack(url: str, sources: list[str], share: float) -> None:
    """All attacks at once, until it is cancelled."""

    async def connections(number: float, sends: bytes) -> None:
        async with RawClient(url) as raw:
            await raw.connect(sources[0], sends)
            print("attacking", flush=True)
            for index in range(int(number)):
                with suppress(OSError):
                    await raw.connect(sources[index % len(sources)], sends)
            await asyncio.Event().wait()

    async def endless_head() -> None:
        async with RawClient(url) as raw:
            one = await raw.connect(sources[0], b"GET / HTTP/1.1\r\nX-Long: ")
            for _ in range(1600):
                await one.send(b"x" * 65536)
                await asyncio.sleep(0)

    async def guesses(number: float) -> None:
        async with httpx.AsyncClient(
            base_url=url, transport=httpx.AsyncHTTPTransport(local_address=sources[-1])
        ) as guesser:
            for index in range(int(number)):
                with suppress(httpx.HTTPError):
                    await guesser.post("/session", json={"username": f"user{index % 50}", "password": "wrong"})

    await asyncio.gather(
        connections(2500 * share, b""), connections(1000 * share, _POST), endless_head(), guesses(10_000 * share)
    )


@asynccontextmanager
async def attacking(url: str, sources: int, share: float) -> AsyncIterator[None]:
    """The attack, as a process of its own, once it holds its first connections."""
    arguments = ("--against", url, "--sources", str(sources), "--share", str(share))
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        await asyncio.wait_for(process.stdout.readline(), 60.0)
        yield
    finally:
        process.kill()
        await process.wait()


async def measure(sources: int, number: int, rounds: int, share: float) -> float:
    """Measure in turns; prints the figures, and returns the ratio of the medians."""
    usual: list[float] = []
    attacked: list[float] = []
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
        postgres, valkey = EmbeddedPostgres(Path(folder) / "postgres"), EmbeddedValkey(Path(folder) / "valkey")
        try:
            await postgres.start()
            await valkey.start()
            await migrate_all(postgres.url)
            async with (
                open_database(postgres.url) as database,
                an_api(valkey.url, postgres.url) as api,
                an_answering_host(valkey.url, says("cancelled")),
            ):
                for _ in range(rounds):
                    usual += await cancels(api, database, number)
                    async with attacking(api.url, sources, share):
                        attacked += await cancels(api, database, number)
        finally:
            await valkey.stop()
            await postgres.stop()
    ratio = statistics.median(attacked) / statistics.median(usual)
    for name, times in (("usual", usual), ("attacked", attacked)):
        print(f"{name}: median {statistics.median(times) * 1000:.1f} ms, most {max(times) * 1000:.1f} ms")
    print(f"ratio of the medians: {ratio:.2f}")
    return ratio if max(attacked) < float("inf") else float("inf")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=1, help="addresses that attack (1)")
    parser.add_argument("--cancels", type=int, default=50, help="cancels of each kind in a round (50)")
    parser.add_argument("--rounds", type=int, default=3, help="(3)")
    parser.add_argument("--share", type=float, default=1.0, help="of the numbers above (1)")
    parser.add_argument("--against", default="", help="only attack the api at this address, until it is ended")
    given = parser.parse_args()
    if given.against:
        addresses = [f"127.0.1.{index + 1}" for index in range(given.sources)]
        asyncio.run(attack(given.against, addresses, given.share))
    sys.exit(asyncio.run(measure(given.sources, given.cancels, given.rounds, given.share)) > MOST)
