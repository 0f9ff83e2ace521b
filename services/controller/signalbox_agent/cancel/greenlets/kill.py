"""Kill of a greenlet: throws GreenletExit, looks until it is dead, and has `cancel.decide` decide what is next.

A greenlet that catches GreenletExit goes on. It has until the deadline to clean up; then the exit is thrown again and
again, so that whatever it does next ends, too; and then it is said to be alive.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from signalbox_agent.cancel.decide import Act, Plan, Seen, Stage, decide
from signalbox_agent.cancel.kill import Kill, KillObserver
from signalbox_agent.link.loop import Loop
from signalbox_agent.proc import descendants
from signalbox_agent.tasks.runs import Run

#: Seconds between looks: until the exit was thrown, and while it is thrown again; once it is known to live on.
OFTEN, SELDOM = 0.05, 0.25


class Greenlets(Protocol):
    """The part of the pool that a kill needs."""

    def throw(self, greenlet: Any, begun: Callable[[], None]) -> None:
        """Raise GreenletExit in the greenlet, if it is in the task's own code; `begun` is called before."""

    def when_gone(self, greenlet: Any, callback: Callable[[], None]) -> None:
        """Call back when the greenlet has ended."""


class GreenletKill(Kill):
    """A kill that throws GreenletExit."""

    signal = "GreenletExit"
    outlived = "It went on after every GreenletExit; it will be reported when it ends"

    def __init__(
        self, run: Run, greenlet: Any, grace: float, greenlets: Greenlets, loop: Loop, observer: KillObserver
    ) -> None:
        super().__init__(run, grace, loop, observer)
        self._greenlet = greenlet
        self._greenlets = greenlets

    def begin(self) -> None:
        """Throw for the first time, as soon as it is in the task's own code."""
        self._plan = Plan(Stage.TERM, monotonic() + self._grace)
        self._greenlets.when_gone(self._greenlet, self.look)
        self.look()

    def look(self) -> None:
        """Look at the greenlet, and take the next step."""
        if self.over:
            return
        if not self.begun and (self.run.over or self._greenlet.dead):
            self.close()
            self._observer.late(self)
            return
        self._plan, acts = decide(self._plan, self._seen())
        for act in acts:
            self._do(act)
        if not self.begun:
            self._throw()
        if not self.over:
            self._look_after(SELDOM if self._plan.stage is Stage.STUCK or self._waits() else OFTEN)

    def _seen(self) -> Seen:
        return Seen(
            now=monotonic(),
            child_gone=self._greenlet.dead,
            ended=self.end,
            left=0,
            fresh=int(self._plan.stage is Stage.KILL),  # it feels each throw anew
        )

    def _do(self, act: Act) -> None:
        if act in {Act.TERM_CHILD, Act.KILL_ALL}:
            self._throw()
        else:
            self._report(act)

    def _throw(self) -> None:
        self._greenlets.throw(self._greenlet, self._thrown)

    def _thrown(self) -> None:
        self.begun = True

    def _waits(self) -> bool:
        """Whether it has felt the exit, and has time to clean up."""
        return self.begun and self._plan.stage is Stage.TERM and monotonic() + SELDOM < self._plan.deadline

    def facts(self) -> dict[str, Any]:
        """The exception, and that the task shares its process."""
        return {"signal": self.signal, "shared": True}

    def proof(self) -> dict[str, Any]:
        """The same; and the programs that run on, as nobody can tell which task has started them."""
        pids = ", ".join(str(proc.pid) for proc in descendants([os.getpid()]))
        if not pids:
            return self.facts()
        detail = (
            f"Programs that tasks of its worker have started run on (pid {pids}); which are its own cannot be told."
        )
        return {**self.facts(), "detail": detail}
