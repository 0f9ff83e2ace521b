"""Windows of a real browser, which must stay free of errors and are photographed when a test fails.

Playwright lives in the session's loop, so a test that uses one must run there:
``pytestmark = pytest.mark.asyncio(loop_scope="session")``.
"""

from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from support.browser import Windows, a_browser
from support.shared_system import fresh_system, shared_system, system
from support.system import System

#: Fixtures that stand in a module of their own.
__all__ = ["fresh_system", "shared_system", "system"]

_FAILED = pytest.StashKey[bool]()
#: Playwright adds all that the page shows to what it expected and saw; the photograph tells that better.
_ENOUGH = 600


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember for the windows whether the test failed, and keep what it says readable."""
    if call.excinfo is not None and isinstance(call.excinfo.value, AssertionError):
        text = str(call.excinfo.value)
        if len(text) > _ENOUGH:
            call.excinfo.value.args = (f"{text[:_ENOUGH]}…",)
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for all tests of this folder."""
    async with a_browser() as chromium:
        yield chromium


@pytest_asyncio.fixture(loop_scope="session")
async def windows(
    browser: Browser, system: System, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Windows]:
    """Windows onto the dashboard of `system`; an error on the console of any of them fails the test."""
    opened = Windows(browser, system.url)
    try:
        yield opened
        failed = request.node.stash.get(_FAILED, False)
        if failed or opened.faults:
            files = ", ".join(map(str, await opened.photograph(tmp_path)))
            print(f"What the browser showed: {files}\nand what was said:\n{await opened.tell()}")  # noqa: T201
        if opened.faults:
            told = "\n".join(["the page went wrong:", *opened.faults, f"(photographed: {files})"])
            pytest.fail(told, pytrace=False)
    finally:
        await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(windows: Windows, system: System) -> Page:
    """A window in which the administrator is signed in; go somewhere with it."""
    return await windows.open_as(*system.admin)
