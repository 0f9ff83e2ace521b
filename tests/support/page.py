"""What tests do with an open page of the dashboard, whichever view it shows."""

import colorsys
import re

from playwright.async_api import Locator, Page, expect


async def look_at(page: Page, address: str) -> None:
    """Go there and wait until the page is live: from then on nothing is loaded again."""
    await page.goto(f"/{address}")
    await expect(page.get_by_test_id("connection")).to_have_text("live")
    await page.evaluate("window.neverReloaded = true")


async def colour(element: Locator, of: str) -> str:
    """What a person would call a colour of it."""
    painted = str(await element.evaluate("(element, of) => getComputedStyle(element)[of]", of))
    numbers = re.fullmatch(r"rgb\((\d+), (\d+), (\d+)\)", painted)
    assert numbers, f"{of} is {painted}, which shows nothing or shines through"
    red, green, blue = map(int, numbers.groups())
    if max(red, green, blue) - min(red, green, blue) < 30:
        return "gray"
    hue = colorsys.rgb_to_hsv(red, green, blue)[0] * 360
    names = {"red": (0, 15), "yellow": (40, 60), "green": (90, 160)}
    return next((name for name, (low, high) in names.items() if low <= hue <= high), f"hue {hue:.0f}")
