"""Load of people who search at once: `python -m bench.load.searchers URL COUNT`, with the token in BENCH_TOKEN.

Each searches for a text that is nowhere, again and again, until the process is ended.
"""

import asyncio
import os
import sys
from contextlib import suppress

import httpx


async def search_on(client: httpx.AsyncClient) -> None:
    """Search for ever; a refusal is an answer, too."""
    number = 0
    while True:
        number += 1
        with suppress(httpx.HTTPError):
            await client.get("/scheduler/tasks/", params={"q": f"order-{number % 10} of all"})


async def main(url: str, count: str) -> None:
    """All of them."""
    headers = {"Authorization": f"Bearer {os.environ['BENCH_TOKEN']}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60.0, trust_env=False) as client:
        print("searching", flush=True)
        await asyncio.gather(*(search_on(client) for _ in range(int(count))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
