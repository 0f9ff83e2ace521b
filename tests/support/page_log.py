"""What a page and the server said to each other, in short lines, for whoever has to understand a failure."""

import json
from collections import deque
from datetime import UTC, datetime

from playwright.async_api import Error, Page, Request, WebSocket

#: Lines that are kept, and characters of each.
LINES, WIDTH = 80, 400
#: What is told of a task, of which a cancel was asked for; of others there are too many.
_ROW = ("status", "outcome", "cancel_requested_at", "cancel_signal", "cancel_kill_at")


class PageLog:
    """Takes down the calls of a page and what it hears live; beats say nothing and are left out."""

    def __init__(self, page: Page) -> None:
        """Listens from now on."""
        self._page = page
        self._lines: deque[str] = deque(maxlen=LINES)
        page.on("request", self._asked)
        page.on("requestfinished", self._answered)
        page.on("requestfailed", lambda request: self._note(f"failed: {request.method} {request.url}"))
        page.on("websocket", self._opened)

    async def tells(self) -> str:
        """All of it, oldest first, and the toasts that the page shows at this moment."""
        try:
            toasts = await self._page.get_by_test_id("toast").all_inner_texts()
        except Error as error:
            toasts = [f"not to be seen: {error}"]
        return "\n".join([*self._lines, *(f"toast: {toast}" for toast in toasts)])

    def _asked(self, request: Request) -> None:
        if request.method != "GET":
            self._note(f"asked: {request.method} {request.url}")

    async def _answered(self, request: Request) -> None:
        if "/scheduler/" not in request.url:
            return
        try:
            response = await request.response()
            text = await response.text() if response and request.method != "GET" else ""
            self._note(f"answered: {request.method} {request.url}: {response and response.status} {text}")
        except Error as error:  # the window was closed
            self._note(f"answered: {request.method} {request.url}, not to be read: {error}")

    def _opened(self, socket: WebSocket) -> None:
        self._note(f"websocket: opened {socket.url}")
        socket.on("close", lambda _: self._note("websocket: closed"))
        socket.on("framereceived", self._heard)

    def _heard(self, frame: str | bytes) -> None:
        said = json.loads(frame)
        if said["type"] == "beat":
            return
        for change in said.get("changes", ()):
            row = {key: change["row"].get(key) for key in _ROW}
            if change["kind"] == "task" and row["cancel_requested_at"]:
                self._note(f"heard: task {change['key']} {row}")
        if said["type"] == "hello":
            self._note(f"heard: {said}")

    def _note(self, text: str) -> None:
        self._lines.append(f"{datetime.now(UTC):%H:%M:%S.%f} {text[:WIDTH]}")
