"""The TERM handler of a pool child: TERM ends the body of a task, and waits for the report of one whose body is over.

Celery's child turns a TERM into a SystemExit wherever it happens to be. Where the body has already returned or raised,
that would only cut off the report: the result is not stored, or stored and not sent to the worker, and a task that has
done its work would be called cancelled. There the TERM is put off until the report is sent.
"""

from __future__ import annotations

import os
import signal
import types
from collections.abc import Callable
from typing import Any

from signalbox_agent.celery_compat import child as compat
from signalbox_agent.celery_compat.prefork import TERM_SIGNAL
from signalbox_agent.child.bodies import BODY, OUTSIDE, REPORT, Bodies
from signalbox_agent.safety import guarded

#: Seconds from a report to the TERM that was put off for it. A child that exits in the moment of its report may be
#: taken for one that died without a report.
PAUSE = 0.2


class TermHandler:
    """The handler, in front of billiard's own."""

    def __init__(self, bodies: Bodies, spared: Callable[[], None], reached: Callable[[], None]) -> None:
        """`spared` is called when a TERM came after the body of the present task, `reached` when one takes effect."""
        self._bodies = bodies
        self._spared = spared
        self._task_reached = reached
        self._original: Any = compat.TERM_HANDLER
        self._pid = os.getpid()
        self._put_off = False

    def install(self) -> None:
        """Stand in front of billiard's handler as soon as that is set."""
        if self._original is not None:
            compat.around_jobs(self._begin, self._reported, self._idle)

    @property
    def in_place(self) -> bool:
        """Whether a TERM would come to us now."""
        return signal.getsignal(TERM_SIGNAL) is self

    # Called by the loop of the child

    @guarded
    def _begin(self) -> None:
        """Stand in front of billiard's handler, if that is the one in place."""
        if signal.getsignal(TERM_SIGNAL) is self._original:
            signal.signal(TERM_SIGNAL, self)

    def _reported(self) -> None:
        """Let a TERM take effect from now on."""
        self._bodies.place = OUTSIDE

    @guarded
    def _idle(self, job_comes: Callable[[float], bool]) -> None:
        """Obey a TERM that was put off, unless there is another job: that is not the one it was meant for."""
        if self._put_off:
            self._put_off = False
            if not job_comes(PAUSE):
                self._original(TERM_SIGNAL, None)

    # Called by Python

    def __call__(self, number: int, frame: types.FrameType | None) -> None:
        """Handle a TERM."""
        if not self._waits(frame):
            self._reached()
            self._original(number, frame)

    @guarded
    def _waits(self, frame: types.FrameType | None) -> bool:
        """Whether the TERM has to wait for a report.

        Python looks for signals after each call: a signal that is handled in the caller of a body finds it over.
        """
        ours = os.getpid() == self._pid  # else a copy of this process, made by the task
        bodies = self._bodies
        returned = bodies.place is BODY and frame is bodies.frame
        over = ours and (bodies.place is REPORT or returned)
        if over and not self._put_off:
            self._put_off = True
            self._spared()
        return over

    @guarded
    def _reached(self) -> None:
        if os.getpid() == self._pid:
            self._task_reached()
