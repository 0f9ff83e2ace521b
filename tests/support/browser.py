"""A real browser in front of the dashboard: the machine's Chromium, driven by Playwright."""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from support.eventually import HANGS
from support.page_log import PageLog
from support.requirement import missing

NAMES = ("chromium", "chromium-browser", "google-chrome")
#: No sandbox, for tests run as root too; the rest keeps it from talking to anybody but Signalbox.
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: What the console says when an answer is 401: part of being signed out.
REFUSED = "status of 401"
#: Milliseconds after which a browser that does not start, or a thing that does not appear, will not come any more.
PATIENCE_MS = HANGS * 1000

Scheme = Literal["light", "dark"]


@asynccontextmanager
async def a_browser() -> AsyncIterator[Browser]:
    """Start Chromium; close it at the end. Skips the test where there is none."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        missing("no Chromium on the PATH, so nobody looks at the dashboard; apt-get install chromium brings it")
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS, timeout=PATIENCE_MS)
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Window:
    """One person's window, and what went wrong in it."""

    page: Page
    expected: Sequence[str]
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.log = PageLog(self.page)

    def watch(self) -> None:
        """Take down errors from now on; a breach of the content security policy is one of the console's."""
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        self.page.on("crash", lambda _: self.faults.append("the page crashed"))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(part in message.text for part in self.expected):
            self.faults.append(message.text)


class Windows:
    """The windows that a test opens; each has cookies of its own, as if it were another person's."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser, self._url = browser, url
        self._windows: list[Window] = []

    async def open(self, *, scheme: Scheme = "light", expected: Sequence[str] = ()) -> Page:
        """A window in which nobody is signed in. An error on its console with an `expected` part does no harm."""
        context = await self._browser.new_context(
            base_url=self._url,
            color_scheme=scheme,
            viewport={"width": 1280, "height": 800},
            locale="en-GB",
            timezone_id="UTC",
            ignore_https_errors=self._url.startswith("https:"),  # no browser trusts the certificate of a test
        )
        context.set_default_timeout(PATIENCE_MS)
        window = Window(await context.new_page(), expected)
        window.watch()
        self._windows.append(window)
        return window.page

    async def open_as(
        self, user: str, password: str, *, scheme: Scheme = "light", expected: Sequence[str] = ()
    ) -> Page:
        """A window in which somebody has signed in already."""
        page = await self.open(scheme=scheme, expected=expected)
        answer = await page.request.post("/session", data={"username": user, "password": password})
        assert answer.ok, await answer.text()
        return page

    @property
    def faults(self) -> list[str]:
        """Everything that went wrong in any of them."""
        return [fault for window in self._windows for fault in window.faults]

    async def photograph(self, folder: Path) -> list[Path]:
        """Save what each of them shows; the files."""
        files = [folder / f"window-{number}.png" for number, _ in enumerate(self._windows, start=1)]
        for window, file in zip(self._windows, files, strict=True):
            await window.page.screenshot(path=file)
        return files

    async def tell(self) -> str:
        """What went on between each of them and the server."""
        return "\n".join([await window.log.tells() for window in self._windows])

    async def close(self) -> None:
        """Close them all."""
        for window in self._windows:
            await window.page.context.close()
