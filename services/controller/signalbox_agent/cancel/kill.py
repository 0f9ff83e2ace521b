"""Kill of one task, from the first signal to the proof of death: the part that is the same for every pool."""

from __future__ import annotations

from abc import ABC, abstractmethod
from time import monotonic
from typing import Any, Protocol

from signalbox_agent.cancel.decide import Act, Plan, Stage
from signalbox_agent.link.loop import Loop, Timer
from signalbox_agent.tasks.runs import Run


class KillObserver(Protocol):
    """Receives the progress of a kill."""

    def signalled(self, kill: Kill, kill_at: float | None) -> None:
        """A signal was sent to the task's process; `kill_at` is an epoch in seconds."""

    def was_signalled(self, kill: Kill) -> bool:
        """Whether somebody else has sent the first signal."""

    def dead(self, kill: Kill) -> None:
        """The task is dead, with all that descended from it."""

    def alive(self, kill: Kill) -> None:
        """It outlived the strongest means."""

    def finished(self, kill: Kill) -> None:
        """The task completed in spite of the kill, or had failed before it."""

    def late(self, kill: Kill) -> None:
        """The task was over before a signal was sent."""


class Kill(ABC):
    """One kill. It looks at the task again and again, has `cancel.decide` decide, and acts."""

    #: The detail of the answer when the strongest signal has not ended it.
    outlived: str
    #: The strongest signal so far.
    signal: str
    #: The name of the cgroup that held what the task had started; empty where that had to be searched for.
    cgroup: str = ""

    def __init__(self, run: Run, grace: float, loop: Loop, observer: KillObserver) -> None:
        self.run = run
        #: The commands that wait for the end of this one.
        self.commands: list[str] = []
        #: Whether a signal was sent.
        self.begun = False
        #: How the task ended, as it was reported; see `cancel.decide.Seen`.
        self.end: str | None = None
        self._grace = grace
        self._loop = loop
        self._observer = observer
        self._plan = Plan(Stage.TERM, monotonic() + grace)
        self._timer: Timer | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more is to be done or reported."""
        return self._plan.stage is Stage.DONE

    @abstractmethod
    def begin(self) -> None:
        """Send the first signal, unless the task has just ended."""

    @abstractmethod
    def look(self) -> None:
        """Look at the task, and take the next step."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """The fields of every answer about it."""

    def proof(self) -> dict[str, Any]:
        """The fields of the answer that it is dead."""
        return self.facts()

    def killed(self) -> list[int]:
        """The pids of all processes that were seen alive and are dead now."""
        return []

    def before_exit(self) -> None:  # noqa: B027 - most kills have nothing to do then
        """The process of the task is about to exit."""

    def ended(self, how: str) -> None:
        """The task was reported as over; see `cancel.decide.Seen`."""
        self.end = self.end or how
        self.look()

    def _look_after(self, delay: float) -> None:
        self._cancel_timer()
        self._timer = self._loop.call_later(delay, self._look_again)

    def _look_again(self) -> None:
        self.look()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _report(self, act: Act) -> None:
        """Do an act that reports something; all but one are the end."""
        if act is Act.REPORT_ALIVE:
            self._observer.alive(self)
            return
        self.close()
        if act is Act.REPORT_DEAD:
            self._observer.dead(self)
        else:
            self._observer.finished(self)

    def close(self) -> None:
        """Do nothing more."""
        self._plan = Plan(Stage.DONE, 0)
        self._cancel_timer()
