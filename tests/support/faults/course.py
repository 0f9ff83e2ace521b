"""One fault under load: inflicted, healed, and watched until all four witnesses agree again."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg  # type: ignore[import-untyped]
import httpx
from redis.exceptions import RedisError

from support.eventually import HANGS, eventually
from support.faults.load import Load
from support.faults.site import Site
from support.faults.truth import Claim, disagreements, lies
from support.faults.witnesses import Api, Browser, record

#: Seconds of load before a fault, and after it.
BEFORE, AFTER = 2.0, 2.0
#: Seconds between two looks.
PAUSE = 0.3
#: Seconds after which what is not true will not become so any more.
NEVER = 1.5 * HANGS
#: Lies that are told of one round.
TOLD = 8

Means = Callable[[Site], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """Something that is taken away for some seconds."""

    name: str
    during: Means
    #: What users see meanwhile.
    seen: str
    lasts: float = 4.0


@dataclass
class Result:
    """What one round has shown."""

    fault: Fault
    tasks: int = 0
    cancels: int = 0
    verified: int = 0
    #: Each as often as it was told.
    lies: dict[str, int] = field(default_factory=dict)
    #: Seconds from the end of the fault until record, processes and diaries agreed, and until every light was green.
    true_after: float = 0.0
    green_after: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.fault.name}: {self.tasks} tasks, {self.cancels} cancels ({self.verified} verified),"
            f" {len(self.lies)} lies, true again after {self.true_after:.1f} s, green after {self.green_after:.1f} s"
        )


class Round:
    """One fault, once."""

    def __init__(self, site: Site, browser: Browser, fault: Fault, seed: int) -> None:
        self._site, self._browser, self._fault = site, browser, fault
        self._api = Api(site)
        self._load = Load(site, seed)
        self._result = Result(fault)
        self._began = datetime.now(UTC) - timedelta(seconds=1)

    async def run(self) -> Result:
        """The result; fails the test when the truth does not come back."""
        await eventually(self._is_green, f"all is well before: {self._fault.name}", within=NEVER)
        self._site.diary.forget()
        watching = asyncio.create_task(self._watch())
        self._load.start()
        try:
            await asyncio.sleep(BEFORE)
            async with self._fault.during(self._site):
                await asyncio.sleep(self._fault.lasts)
            healed = time.time()
            stopping = asyncio.create_task(self._stop_load())
            self._result.true_after = await self._agreement(lambda: self._load.before(healed), healed)
            await stopping
            await eventually(self._is_green, f"all is green after: {self._fault.name}", within=NEVER)
            self._result.green_after = time.time() - healed
            await self._agreement(lambda: set(self._load.sent), healed)
            await self._page_agrees()
        finally:
            await self._load.stop()
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        self._result.tasks, self._result.cancels = len(self._load.sent), self._load.cancels
        self._result.verified = len(self._load.verified)
        return self._result

    async def _stop_load(self) -> None:
        await asyncio.sleep(AFTER)
        await self._load.stop()

    async def _watch(self) -> None:
        """Take down every lie from now on."""
        while True:
            await self._look()
            await asyncio.sleep(PAUSE)

    async def _look(self) -> None:
        claims = [*self._load.verified, *await self._api.look(), *await self._browser.look()]
        sight = self._site.diary.see()
        mine = [claim for claim in claims if claim.task_id in self._load.sent]
        for lie in lies(mine, sight):
            self._result.lies[lie] = self._result.lies.get(lie, 0) + 1

    async def _agreement(self, tasks: Callable[[], set[str]], healed: float) -> float:
        """Seconds until the record says of these tasks what diary, process table and broker do."""

        async def look() -> float:
            found = await self._disagreements(tasks())
            assert not found, f"{len(found)} tasks, such as {dict(list(found.items())[:TOLD])}"
            return max(time.time() - healed, 0.01)

        return await eventually(look, f"the record is true after: {self._fault.name}", within=NEVER)

    async def _disagreements(self, tasks: set[str]) -> dict[str, str]:
        try:
            claims = await record(self._site, self._began)
            waiting = await asyncio.to_thread(self._site.waiting)
        except (asyncpg.PostgresError, OSError, TimeoutError, RedisError) as error:
            return {"": f"cannot be read: {error!r}"}
        return disagreements(claims, self._site.diary.see(), waiting, tasks)

    async def _is_green(self) -> bool:
        try:
            wrong = await self._site.is_whole()
        except httpx.HTTPError as error:
            wrong = repr(error)
        assert not wrong, wrong
        return True

    async def _page_agrees(self) -> None:
        """Wait until the page shows what the record has, and green lights."""

        async def look() -> bool:
            rows: list[Claim] = await self._browser.look()
            known = await record(self._site, self._began)
            other = [f"{row}, {known[row.task_id]}" for row in rows if row.task_id in known and _differ(row, known)]
            assert self._browser.sure, "the page is not sure"
            assert set(self._browser.lights) == {"running"}, self._browser.lights
            assert rows, "the page shows no tasks"
            assert not other, other[:TOLD]
            return True

        await eventually(look, f"the page is true after: {self._fault.name}", within=NEVER)


def _differ(row: Claim, known: dict[str, Claim]) -> bool:
    other = known[row.task_id]
    return (row.status, row.confirmed) != (other.status, other.confirmed)
