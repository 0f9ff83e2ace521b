"""One fault under load: inflicted, healed, and watched until all four witnesses agree again."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg  # type: ignore[import-untyped]
import httpx
import pytest
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
#: Seconds by which the record may follow a task.
LAG = 1.0
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
    #: Seconds that it lasts, or that its consequences are watched under load.
    lasts: float = 4.0
    #: Whether it is over as soon as it has begun.
    once: bool = False


@dataclass
class Result:
    """What one round has shown."""

    fault: Fault
    tasks: int = 0
    cancels: int = 0
    verified: int = 0
    #: Each as often as it was told.
    lies: dict[str, int] = field(default_factory=dict)
    #: Seconds from the end of the fault until the record was no longer wrong, and until every light stayed green.
    true_after: float = 0.0
    green_after: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.fault.name}: {self.tasks} tasks, {self.cancels} cancels ({self.verified} verified),"
            f" {len(self.lies)} lies, true after {self.true_after:.1f} s, green after {self.green_after:.1f} s"
        )


class Spells:
    """Until when something was wrong; what is on its way to the record is not."""

    def __init__(self, healed: float) -> None:
        self.true_at = self.green_at = healed
        #: Since when each task is wrong.
        self.wrong: dict[str, float] = {}

    def look(self, now: float, found: Mapping[str, str], dark: str) -> None:
        """Take in what is wrong now."""
        for task_id in self.wrong.keys() - found.keys():
            if now - self.wrong.pop(task_id) > LAG:
                self.true_at = now
        for task_id in found:
            self.wrong.setdefault(task_id, now)
        if dark:
            self.green_at = now


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
            fault = self._fault
            async with fault.during(self._site):
                await asyncio.sleep(0.0 if fault.once else fault.lasts)
            healed = time.time()
            stopping = asyncio.create_task(self._stop_load(AFTER + (fault.lasts if fault.once else 0.0)))
            await self._settle(healed, stopping)
            await self._page_agrees()
        finally:
            await self._load.stop()
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        self._result.tasks, self._result.cancels = len(self._load.sent), self._load.cancels
        self._result.verified = len(self._load.verified)
        return self._result

    async def _stop_load(self, after: float) -> None:
        await asyncio.sleep(after)
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

    async def _settle(self, healed: float, stopping: asyncio.Task[None]) -> None:
        """Wait until the record says of every task what diary and process table do, and every light is green."""
        spells = Spells(healed)
        while True:
            found = await self._disagreements(set(self._load.sent), spells.wrong)
            dark = await self._dark()
            spells.look(time.time(), found, dark)
            if not found and not dark and stopping.done():
                break
            if time.time() > healed + self._fault.lasts + NEVER:
                told = dict(list(found.items())[:TOLD])
                pytest.fail(f"after {NEVER:g} s {dark or 'all is green'}, and {len(found)} tasks are wrong: {told}")
            await asyncio.sleep(PAUSE)
        self._result.true_after, self._result.green_after = spells.true_at - healed, spells.green_at - healed

    async def _disagreements(self, tasks: set[str], before: Iterable[str]) -> dict[str, str]:
        """By task; what was wrong before is so as long as nothing can be read."""
        try:
            claims = await record(self._site, self._began)
            waiting = await asyncio.to_thread(self._site.waiting)
        except (asyncpg.PostgresError, OSError, TimeoutError, RedisError) as error:
            return dict.fromkeys([*before, "none"], f"cannot be read: {error!r}")
        return disagreements(claims, self._site.diary.see(), waiting, tasks)

    async def _dark(self) -> str:
        """What is not well, as the api says."""
        try:
            return await self._site.is_whole()
        except httpx.HTTPError as error:
            return repr(error)

    async def _is_green(self) -> bool:
        wrong = await self._dark()
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
