"""Announcer of cancels to Celery: has it store the result, acknowledge the message and send its signals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from signalbox_agent.cancel.pool import PoolControl
from signalbox_agent.celery_compat import requests as compat
from signalbox_agent.celery_compat.prefork import TERM_SIGNAL
from signalbox_agent.link.loop import Loop
from signalbox_agent.safety import guarded


@dataclass(eq=False)
class Announcer:
    """Announces what has been proven; each takes most of a millisecond, for the result backend.

    While the broker is away the backend mostly is, too, and its retries would hold up all of us.
    """

    loop: Loop
    pool: PoolControl
    #: The requests of tasks that were killed while the broker was away.
    _waiting: list[tuple[Any, str]] = field(default_factory=list)

    @property
    def _broker_is_away(self) -> bool:
        return self.loop.hub is None and self.loop.last_hub is not None

    def dropped(self, request: Any) -> None:
        """Announce a task that will not run; a broker that was away delivers it anew, and it is refused then."""
        if not self._broker_is_away and not compat.is_revoked(request):
            compat.announce_refused(request)

    def killed(self, request: Any, signal: str) -> None:
        """Announce a task that is dead."""
        if self._broker_is_away:
            self._waiting.append((request, signal))
        else:
            self.pool.in_background(lambda: self._killed(request, signal))

    def resume(self) -> None:
        """Announce what had to wait for the broker."""
        waiting, self._waiting = self._waiting, []
        for request, signal in waiting:
            self._killed(request, signal)

    @guarded
    def _killed(self, request: Any, signal: str) -> None:
        if not compat.is_revoked(request):
            compat.announce_terminated(request, 9 if signal == "KILL" else int(TERM_SIGNAL))
