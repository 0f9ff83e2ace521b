"""Faults under load: after each, and at each moment of it, nothing is said that diary or process table contradict.

Some kinds once by default; with `SIGNALBOX_ROUNDS`, which `make chaos` sets to 3, all of them so often. With
`SIGNALBOX_TABLE=docs/reliability.md` what was measured is written there.
"""

import os
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from support.browser import Windows, a_browser
from support.faults.course import Fault, Result, Round
from support.faults.report import table, write
from support.faults.site import Site, a_site
from support.faults.table import FAULTS, SHORT
from support.faults.witnesses import Browser
from support.page import look_at

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROUNDS = int(os.environ.get("SIGNALBOX_ROUNDS", "0"))
TRIED = [fault for fault in FAULTS if ROUNDS or fault.name in SHORT]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with a_site(tmp_path_factory.mktemp("faults")) as site:
        yield site


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser(site: Site) -> AsyncIterator[Browser]:
    async with a_browser() as chromium:
        windows = Windows(chromium, site.system.url)
        try:
            page = await windows.open_as(*site.system.admin)
            await look_at(page, "#/tasks")
            yield Browser(page)
        finally:
            await windows.close()


@pytest.fixture(scope="module")
def results() -> Iterator[list[Result]]:
    found: list[Result] = []
    yield found
    print(f"\n{table(found)}")  # noqa: T201 - the result
    if file := os.environ.get("SIGNALBOX_TABLE"):
        write(Path(file), found)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", range(max(ROUNDS, 1)))
@pytest.mark.parametrize("fault", TRIED, ids=lambda fault: fault.name)
async def test_no_witness_says_what_another_one_contradicts(
    site: Site, browser: Browser, results: list[Result], fault: Fault, number: int
) -> None:
    seed = int(os.environ.get("SIGNALBOX_SEED", "0")) or random.SystemRandom().randrange(1 << 30)
    print(f"seed {seed}, round {number + 1}")  # noqa: T201 - to see it again
    result = await Round(site, browser, fault, seed).run()
    results.append(result)
    print(result)  # noqa: T201 - the result
    assert not result.lies, "\n".join([f"{len(result.lies)} lies", *result.lies])
