"""The other two witnesses: the record, by SQL and as the api shows it, and a browser with the dashboard."""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx
from playwright.async_api import Error, Page

from support.faults.site import Site
from support.faults.truth import Claim

#: Rows of one look at the api.
ROWS = 300
RECORD, API, BROWSER = "the record", "the api", "the browser"
_QUERY = "SELECT task_id, status, outcome, confirmed, started_at, finished_at FROM tasks WHERE created_at > $1"
#: The rows of the page, and whether it says that it is not sure of them.
_PAGE = """() => ({
  unsure: document.querySelector("[data-testid=stale]") !== null
    || document.querySelector("[data-testid=connection]")?.textContent !== "live",
  lights: [...document.querySelectorAll(".badges [data-state]")].map((badge) => badge.dataset.state),
  rows: [...document.querySelectorAll("[data-task-id]")].map((row) => ({
    task_id: row.dataset.taskId,
    status: row.dataset.status,
    confirmed: row.querySelector("[data-testid=task-status]")?.dataset.confirmed === "true",
    outcome: row.querySelector("[data-testid=task-outcome]")?.textContent ?? "",
  })),
})"""


class Witness:
    """One that says of itself whether it is sure."""

    def __init__(self) -> None:
        self._since: float | None = None
        #: Whether it vouched for all that it showed last.
        self.sure = False

    def _vouches(self, sure: bool) -> float | None:
        self.sure = sure
        self._since = (self._since or time.time()) if sure else None
        return self._since


class Api(Witness):
    """What programs are told."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self._site = site

    async def look(self) -> list[Claim]:
        """Of the newest tasks; nothing while it does not answer."""
        try:
            async with self._site.system.client() as client:
                answer = await client.get("/scheduler/tasks/", params={"limit": ROWS}, timeout=5.0)
        except httpx.HTTPError:
            answer = None
        if answer is None or answer.status_code != 200:
            self._vouches(sure=False)
            return []
        said = answer.json()
        since = self._vouches(sure=not said["behind"])
        return [_claim(API, row, since) for row in said["items"]]


class Browser(Witness):
    """What people see."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page
        self.lights: list[str] = []

    async def look(self) -> list[Claim]:
        """Of the rows on the page; nothing while it is loaded again."""
        try:
            seen = await self._page.evaluate(_PAGE)
        except Error:
            self._vouches(sure=False)
            return []
        self.lights = seen["lights"]
        since = self._vouches(sure=not seen["unsure"])
        return [
            Claim(
                by=BROWSER,
                task_id=row["task_id"],
                status=row["status"],
                outcome=row["outcome"].split(" · ")[0] or None,
                confirmed=row["confirmed"],
                vouched_since=since,
            )
            for row in seen["rows"]
        ]


async def record(site: Site, since: datetime) -> dict[str, Claim]:
    """What PostgreSQL has of all tasks that came since, by id."""
    rows = await site.system.record(_QUERY, since)
    return {row["task_id"]: _claim(RECORD, row, None) for row in rows}


def _claim(by: str, row: Mapping[str, Any], vouched_since: float | None) -> Claim:
    return Claim(
        by=by,
        task_id=row["task_id"],
        status=row["status"],
        outcome=row["outcome"],
        confirmed=row["confirmed"],
        started_at=_seconds(row["started_at"]),
        finished_at=_seconds(row["finished_at"]),
        vouched_since=vouched_since,
    )


def _seconds(at: datetime | str | None) -> float | None:
    """Seconds since 1970."""
    return (datetime.fromisoformat(at) if isinstance(at, str) else at).timestamp() if at else None
