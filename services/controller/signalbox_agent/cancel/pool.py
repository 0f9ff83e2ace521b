"""Ending one task that runs, whatever kind of thing its pool made of it: a process, or a greenlet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from signalbox_agent.tasks.runs import Run


class Kill(Protocol):
    """One kill, from the first try to the proof."""

    run: Run
    #: The commands that wait for the end of this one.
    commands: list[str]
    #: Whether the task has felt anything of it yet.
    begun: bool
    #: The strongest means so far.
    signal: str
    #: What is said when the strongest of all has not ended it.
    outlived: str

    #: What was told of the end of the task; see `cancel.Seen`.
    end: str | None

    @property
    def over(self) -> bool:
        """Whether the last word was spoken."""

    def begin(self) -> None:
        """Try for the first time, unless the task has just ended."""

    def ended(self, how: str) -> None:
        """The task is over, and how; see `cancel.Seen`."""

    def look(self) -> None:
        """See how things are, and go on from there."""

    def facts(self) -> dict[str, Any]:
        """What every answer about it holds."""

    def proof(self) -> dict[str, Any]:
        """What the answer holds that says that it is dead."""

    def killed(self) -> list[int]:
        """The pids of all that was seen alive and is dead now."""


class KillObserver(Protocol):
    """Who tells the world how a kill goes."""

    def signalled(self, kill: Kill, kill_at: float | None) -> None:
        """A signal was sent to the task's process; `kill_at` is an epoch in seconds."""

    def asked(self, kill: Kill) -> bool:
        """Whether somebody else has sent the first signal."""

    def dead(self, kill: Kill) -> None:
        """The task is dead, with all that descended from it."""

    def alive(self, kill: Kill) -> None:
        """It outlived the strongest means."""

    def finished(self, kill: Kill) -> None:
        """The task completed in spite of the kill, or had failed before it."""

    def late(self, kill: Kill) -> None:
        """The task was over before it felt anything."""


class Killer(Protocol):
    """A pool that can end a single task."""

    def kill(self, run: Run, grace: float, observer: KillObserver) -> Kill | None:
        """A kill that has not begun; None when there is nothing left to kill. `grace` is in seconds."""

    def aside(self, work: Callable[[], None]) -> None:
        """Do what may wait for a store, where it holds up nobody who need not be held up."""
