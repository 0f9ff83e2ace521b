"""The schedule of a beat: it is held back while another beat may send, and goes on where that one ended.

A scheduler marks an entry as run, and sends it then. What a mark means is its own affair: one counts runs in its
database, another disables the entry at the next look. So leave to send is asked for before the mark, and what is marked
is sent, or marked no longer.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from time import CLOCK_BOOTTIME, clock_gettime, sleep, time
from typing import Any

from signalbox_agent.beat.permission import Permission
from signalbox_agent.celery_compat import beat as compat
from signalbox_agent.celery_compat import redbeat
from signalbox_agent.safety import guarded, logger

#: Seconds between two looks whether beat may go on.
HOLD = 0.25


class Withheld(BaseException):
    """An entry is due, and neither marked nor sent: it stays due."""


class LeasedSchedule:
    """Stands between a scheduler, whichever it is, and its ways out: `tick`, `reserve` and `apply_async`."""

    def __init__(
        self,
        scheduler: Any,
        permission: Permission,
        ticked: Callable[[float, bool], None],
        send: Callable[[dict[str, Any]], None],
        waits: Callable[[str], None],
    ) -> None:
        """`ticked` is called after each tick with the seconds until the next one, and whether it was held back.

        `send` sends a line. `waits` is called with the reason, once, when nothing can be sent for a while.
        """
        self._scheduler = scheduler
        self._permission = permission
        self._ticked = ticked
        self._line = send
        self._waits = waits
        #: Whether nobody but this process, and a file of this host, knows what was sent.
        self._local = compat.keeps_times_here(scheduler)
        #: That of the lease whose runs the schedule knows.
        self._fence = 0
        #: The entry that may be sent, and until when; the one that is marked, and what it has become by that.
        self._granted: tuple[Any, float] = (None, 0.0)
        self._marked: tuple[Any, Any] = (None, None)
        self._away = False
        self._reserve, self._apply, self._tick = scheduler.reserve, scheduler.apply_async, scheduler.tick
        scheduler.reserve, scheduler.apply_async, scheduler.tick = self._mark, self._send, self.tick

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        """Send what is due and may be sent; answer the seconds until the next look."""
        if not self._permission.may_send(HOLD):
            self._ticked(0.0, True)
            return 0  # it has waited already
        self._catch_up()
        self._forget_grant()
        if not self._connected():
            self._tell_away("what falls due", None)
            self._ticked(HOLD, True)
            return HOLD
        try:
            pause = self._tick(*args, **kwargs)
        except Withheld:
            compat.forget_order(self._scheduler)  # it was taken out to be sent
            self._ticked(HOLD, True)
            return HOLD
        self._ticked(max(0.0, pause or 0.0), False)
        return pause

    def _connected(self) -> bool:
        """Whether the broker was reached; Celery would look for it, for an hour, after it has marked an entry."""
        if "producer" not in vars(self._scheduler):
            if not compat.broker_answers(self._scheduler.app):
                return False
            _ = self._scheduler.producer
            self._away = False
        return True

    def _mark(self, entry: Any) -> Any:
        """Let the scheduler mark an entry as run, once for each time that it is sent."""
        if self._marked[0] is not entry:
            if not self._may_send(entry):
                raise Withheld
            self._marked = entry, self._reserve(entry)
        return self._marked[1]

    def _send(self, entry: Any, *args: Any, **kwargs: Any) -> Any:
        """Let the scheduler send an entry, as soon as it may and the broker is there."""
        try:
            with compat.unsaved(self._scheduler, entry.name):
                result = self._send_when_possible(entry, *args, **kwargs)
            self._note(entry)
        finally:
            self._forget_grant()
        return result

    def _forget_grant(self) -> None:
        self._granted, self._marked = (None, 0.0), (None, None)

    def _send_when_possible(self, entry: Any, *args: Any, **kwargs: Any) -> Any:
        failed = False
        while True:
            if not self._may_send(entry):
                self._hold_back(entry, marked=self._marked[0] is entry or not kwargs.get("advance", True))
                continue
            try:
                result = self._apply(entry, *args, **kwargs)
            except Exception as error:
                if not compat.is_broker_error(error):
                    raise
                if not compat.broker_answers(self._scheduler.app):
                    self._tell_away(entry.name, error)
                    self._hold_back(entry, marked=True)
                elif failed:
                    raise  # it is not the broker: Celery logs it, and drops what was due
                failed = True
            else:
                self._away = False
                return result

    def _tell_away(self, what: str, error: Exception | None) -> None:
        if not self._away:
            self._away = True
            reason = f"its broker is away; {what} is sent as soon as that is back"
            logger.warning("Signalbox: %s%s", reason, f": {error}" if error else "")
            self._waits(reason)

    def _hold_back(self, entry: Any, *, marked: bool) -> None:
        """Keep an entry that cannot be sent: due as it was, if it is not marked, or its mark can be taken back."""
        if marked and self._local:
            self._put_back(entry)
        if self._local or not marked:
            raise Withheld
        self._ticked(HOLD, True)
        sleep(HOLD)
        self._catch_up()

    def _may_send(self, entry: Any) -> bool:
        """Whether it may be sent at this moment."""
        if not self._permission.leased:
            return True
        granted, until = self._granted
        if granted is entry and clock_gettime(CLOCK_BOOTTIME) < until:
            return True
        self._granted = entry, self._permission.ask(entry.name, self._fence)
        return self._granted[1] > 0.0

    @guarded
    def _put_back(self, entry: Any) -> None:
        self._scheduler.schedule[entry.name] = entry
        self._scheduler.sync()  # the mark may be in its file by now

    @guarded
    def _note(self, entry: Any) -> None:
        """Have it known at once, for whoever sends next, that an entry was sent."""
        if self._local:
            marked = self._marked[1]
            self._permission.sent(entry.name, time() if marked is None else seconds(marked.last_run_at))
        else:
            self._scheduler.sync()

    @guarded
    def _catch_up(self) -> None:
        """Take over what was sent by former holders, and tell what the next one has to know."""
        news = self._permission.news()
        if news is None:
            return
        self._fence, runs = news
        begins = {}
        if self._local:
            begins = self._take_over(runs)
        else:
            compat.read_again(self._scheduler)
        lock = redbeat.token(self._scheduler)
        self._line({"type": "begin", "fence": self._fence, "runs": begins, "lock": lock})

    def _take_over(self, runs: dict[str, float]) -> dict[str, float]:
        entries = dict(self._scheduler.schedule)
        for name, at in runs.items():
            if name in entries:
                take_over(entries[name], at)
        compat.forget_order(self._scheduler)
        return {name: seconds(entry.last_run_at) for name, entry in entries.items()}


def take_over(entry: Any, at: float) -> None:
    """Let an entry have run at this time, unless it has run here later; one that never ran bears only a default."""
    if at > seconds(entry.last_run_at) or not entry.total_run_count:
        zone = entry.last_run_at.tzinfo
        moment = datetime.fromtimestamp(at, zone or timezone.utc)
        entry.last_run_at = moment if zone else moment.replace(tzinfo=None)


def seconds(moment: datetime) -> float:
    """A time of Celery's in seconds of the epoch; one without a zone is in UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
