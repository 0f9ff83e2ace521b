"""The permission of a leased beat to send an entry: its controller asks Redis, which keeps the lease.

Nothing here trusts a clock of another process, or an answer that took long: a beat that was paused for a minute
between its question and its send does not send.
"""

from __future__ import annotations

import threading
from time import CLOCK_BOOTTIME, clock_gettime, time
from typing import Any

from signalbox_agent.link.link import Link
from signalbox_agent.link.loop import Loop

#: Seconds to wait for an answer, and for which it counts.
PATIENCE = 2.0


class Permission:
    """The lease as far as beat knows it; read in beat's own thread, set in the agent's."""

    def __init__(self, loop: Loop, link: Link) -> None:
        self._loop = loop
        self._link = link
        #: Whether there is a lease at all; None until the controller has answered that.
        self._leased: bool | None = None
        self._fence = 0
        self._runs: dict[str, float] | None = None
        #: The token of the scheduler's own lock that the former beat had.
        self.left_lock = ""
        #: The latest run of each entry that this process has sent.
        self._sent: dict[str, float] = {}
        self._asked = 0
        self._granted = False
        self._changed = threading.Event()
        self._answered = threading.Event()

    def on_message(self, message: dict[str, Any]) -> None:
        """Take in a line of the controller."""
        if message["type"] == "welcome":
            self._leased = bool(message.get("leased"))
            self._fence = 0  # a controller that holds the lease sends it next
            self._changed.set()
        elif message["type"] == "lease":
            self._fence, self._runs = message["fence"], message["runs"]
            self.left_lock = message.get("lock", "")
            if self._fence and self._sent:  # a controller that has just come may not know it
                self._link.send({"type": "sent", "fence": self._fence, "runs": self._sent})
            self._changed.set()
        elif message["type"] == "claimed" and message["number"] == self._asked:
            self._granted = message["granted"]
            self._answered.set()

    @property
    def leased(self) -> bool:
        """Whether everything has to be asked for."""
        return self._leased is not False

    def may_send(self, seconds: float) -> bool:
        """Whether anything may be sent at all; waits so long for it."""
        self._changed.clear()
        if not self._may:
            self._changed.wait(seconds)
        return self._may

    @property
    def _may(self) -> bool:
        return self._leased is False or (self._fence > 0 and self._link.online)

    def news(self) -> tuple[int, dict[str, float]] | None:
        """The fence of a new lease and the latest runs before it; each lease is answered once."""
        with self._loop.lock:
            runs, self._runs = self._runs, None
            return None if runs is None or not self._fence else (self._fence, runs)

    def ask(self, entry: str, fence: int) -> float:
        """Until when this entry may be sent under the lease with this fence, on CLOCK_BOOTTIME; 0 if it may not."""
        began = clock_gettime(CLOCK_BOOTTIME)
        with self._loop.lock:
            if not fence or fence != self._fence or not self._link.online:
                return 0.0
            self._asked += 1
            self._granted = False
            self._answered.clear()
            claim = {"number": self._asked, "fence": fence, "entry": entry, "at": time(), "asked": began}
            self._link.send({"type": "claim", "confirms": True, **claim})
        self._answered.wait(PATIENCE)
        until = began + PATIENCE
        return until if self._granted and clock_gettime(CLOCK_BOOTTIME) < until else 0.0

    def sent(self, entry: str, at: float) -> None:
        """Tell that an entry was sent, and has this time as its latest run."""
        with self._loop.lock:
            self._sent[entry] = at
            if self._fence:
                self._link.send({"type": "sent", "fence": self._fence, "runs": {entry: at}})
