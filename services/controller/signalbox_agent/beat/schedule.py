"""The schedule of a leased beat: it is held back while another beat may send, and goes on where that one ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from signalbox_agent.beat.permission import Permission
from signalbox_agent.celery_compat.beat import forget_order
from signalbox_agent.safety import guarded

#: Seconds between two looks whether beat may go on.
HOLD = 0.25


class Withheld(BaseException):
    """An entry was due and must not be sent now."""

    def __init__(self, entry: Any) -> None:
        super().__init__(entry.name)
        self.entry = entry


class LeasedSchedule:
    """Stands between a scheduler, whichever it is, and its two ways out: `tick` and `apply_async`."""

    def __init__(
        self,
        scheduler: Any,
        permission: Permission,
        ticked: Callable[[float, bool], None],
        send: Callable[[dict[str, Any]], None],
    ) -> None:
        """`ticked` is called after each tick with the seconds until the next one, and whether it was held back.

        `send` sends a line.
        """
        self._scheduler = scheduler
        self._permission = permission
        self._ticked = ticked
        self._send = send
        #: That of the lease whose runs the schedule knows.
        self._fence = 0
        self._apply = scheduler.apply_async
        self._tick = scheduler.tick
        scheduler.apply_async = self._apply_if_granted
        scheduler.tick = self.tick

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        """Send one entry if one is due and may be sent; answer the seconds until the next look."""
        if not self._permission.may_send(HOLD):
            self._ticked(0.0, True)
            return 0  # it has waited already
        self._catch_up()
        try:
            pause = self._tick(*args, **kwargs)
        except Withheld as withheld:
            self._put_back(withheld.entry)
            self._ticked(HOLD, True)
            return HOLD
        self._ticked(max(0.0, pause or 0.0), False)
        return pause

    def _apply_if_granted(self, entry: Any, *args: Any, **kwargs: Any) -> Any:
        if self._permission.leased and not self._permission.ask(entry.name, self._fence):
            raise Withheld(entry)
        return self._apply(entry, *args, **kwargs)

    @guarded
    def _put_back(self, entry: Any) -> None:
        """Have it due again: it was marked as run before it was to be sent."""
        self._scheduler.schedule[entry.name] = entry
        forget_order(self._scheduler)

    @guarded
    def _catch_up(self) -> None:
        """Take over what was sent by former holders, and tell what the next one has to know."""
        news = self._permission.news()
        if news is None:
            return
        self._fence, runs = news
        entries = dict(self._scheduler.schedule)
        for name, at in runs.items():
            if name in entries:
                take_over(entries[name], at)
        forget_order(self._scheduler)
        begins = {name: seconds(entry.last_run_at) for name, entry in entries.items()}
        self._send({"type": "begin", "fence": self._fence, "runs": begins})


def take_over(entry: Any, at: float) -> None:
    """Let an entry have run at this time, unless it has run here later; one that never ran bears only a default."""
    if at > seconds(entry.last_run_at) or not entry.total_run_count:
        zone = entry.last_run_at.tzinfo
        moment = datetime.fromtimestamp(at, zone or timezone.utc)
        entry.last_run_at = moment if zone else moment.replace(tzinfo=None)


def seconds(moment: datetime) -> float:
    """A time of Celery's in seconds of the epoch; one without a zone is in UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
