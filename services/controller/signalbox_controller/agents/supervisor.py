"""The supervisor of a process, as the session with its agent sees it."""

from datetime import datetime
from typing import Protocol

from signalbox_controller.agents.protocol import ProcessReport


class Supervisor(Protocol):
    """Takes what concerns the process and not its tasks."""

    @property
    def leased(self) -> bool:
        """Whether the process must hold a lease, and ask before it sends anything."""

    def on_report(self, report: ProcessReport) -> None:
        """Its agent connected, for the first time or again, or reported something."""

    def on_silent(self) -> None:
        """It is connected, and answers nothing."""

    def on_late(self, ticked: datetime) -> None:
        """It is a beat, and has not ticked since then, against its promise."""

    def on_answer(self) -> None:
        """It was silent or late, and is not any more."""
