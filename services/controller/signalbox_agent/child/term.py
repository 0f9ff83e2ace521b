"""TERM in a pool child: it ends the body of a task, and waits for the report of one whose body is over.

Celery's child turns a TERM into a SystemExit wherever it happens to be. Where the body has already returned or raised,
that would only cut off the report: the result is not stored, or stored and not told, and a task that has done its work
would be called cancelled. There the TERM is put off until the report is out. Whatever is not
recognised is left to Celery. Nothing of this costs anything before a TERM comes.
"""

from __future__ import annotations

import _thread
import dis
import os
import signal
import types
from collections.abc import Callable, Iterator
from time import sleep
from typing import Any, Protocol

from signalbox_agent.celery_compat import child as compat
from signalbox_agent.celery_compat.prefork import TERM_SIGNAL
from signalbox_agent.safety import guarded

#: Seconds between looks whether the report is out. A child that exits in the same moment in which it has told its
#: parent may be taken for one that died without a word; who wanted its end mostly brings it about sooner than this.
LOOK = 0.2

Handler = Callable[[int, Any], Any]


class Child(Protocol):
    """What is known of the tasks of this process."""

    def ended(self, task_id: object) -> bool:
        """Whether this task is the latest one, and its body is over."""

    def spared(self) -> None:
        """A TERM came after the body of the present task."""

    def reached(self) -> None:
        """A TERM has reached whatever this process does now."""


class Term:
    """The handler, in front of Celery's own."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._original: Handler = compat.TERM_HANDLER
        self._pid = os.getpid()
        #: The task whose report a TERM waits for.
        self._put_off: object = None
        #: Whether the next signal is our own, to look again.
        self._again = False

    @guarded
    def install(self) -> None:
        """Stand in front of Celery's handler, if that is the one in place."""
        if compat.COMPLETE and signal.getsignal(TERM_SIGNAL) is self._original:
            signal.signal(TERM_SIGNAL, self)

    @property
    def in_place(self) -> bool:
        """Whether a TERM would come to us now."""
        return signal.getsignal(TERM_SIGNAL) is self

    def __call__(self, number: int, frame: types.FrameType | None) -> None:
        """A TERM came, from outside or from ourselves."""
        if self._waits(frame):
            return
        self._reached()
        self._original(number, frame)

    @guarded
    def _waits(self, frame: types.FrameType | None) -> bool:
        """Whether it is to have no effect now."""
        again, self._again = self._again, False
        if os.getpid() != self._pid:  # a copy of this process, made by the task
            return False
        over, task = look(frame, self._child.ended)
        if again and (self._put_off is None or task != self._put_off):
            self._put_off = None
            return True  # it was meant for the task before this one
        if over and self._put_off is None:
            self._put_off = task
            self._child.spared()
            _thread.start_new_thread(self._remind, (task,))  # `threading` takes locks that may be held right now
        return over

    def _remind(self, task: object) -> None:
        while self._put_off == task:
            sleep(LOOK)
            self._again = True
            os.kill(self._pid, TERM_SIGNAL)

    @guarded
    def _reached(self) -> None:
        self._put_off = None
        if os.getpid() == self._pid:
            self._child.reached()


def look(frame: types.FrameType | None, ended: Callable[[object], bool]) -> tuple[bool, object]:
    """Whether whoever is interrupted here only reports on a task whose body is over; and the id of the task."""
    stack = list(_upwards(frame))
    loop = next((place for place, one in enumerate(stack) if one.f_code is compat.WORKLOOP), None)
    if loop is None:
        return False, None
    task = compat.task_of(stack[loop])
    for place in range(loop, -1, -1):  # of tasks that a task calls in place, the outermost
        if stack[place].f_code is compat.TRACE:
            return _body_is_over(stack[place], stack[:place]), task
    return (compat.reports(stack[loop - 1]) if loop else ended(task)), task


def _upwards(frame: types.FrameType | None) -> Iterator[types.FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _body_is_over(tracing: types.FrameType, within: list[types.FrameType]) -> bool:
    """By Celery's own variables; `within` is what it is calling, the innermost first."""
    if compat.has_outcome(tracing):
        return True
    if not within:
        return any("retval" in step.argrepr for step in _after_call(tracing)[:3])  # where the value will be kept
    return len(within) == 1 and within[0].f_code is compat.PROTECTED and _returns(_after_call(within[0]))


def _after_call(frame: types.FrameType) -> list[dis.Instruction]:
    """What comes next, if a call is just over: Python looks for signals right after it, before it uses the value."""
    steps = list(dis.get_instructions(frame.f_code))
    place = next((number for number, step in enumerate(steps) if step.offset == frame.f_lasti), len(steps))
    return steps[place + 1 :] if place < len(steps) and steps[place].opname.startswith("CALL") else []


def _returns(steps: list[dis.Instruction]) -> bool:
    return bool(steps) and steps[0].opname == "RETURN_VALUE"
