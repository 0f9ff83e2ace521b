"""Reports of an agent on its process, as inputs of the state machine; the same for all processes."""

from abc import ABC, abstractmethod
from datetime import datetime

from signalbox_controller import words
from signalbox_controller.agents import protocol
from signalbox_controller.processes.machine import Input
from signalbox_controller.processes.status import ProcessStatus

#: Reports in a row, one a second, by which no process of a pool is up, until that is shown: one that is replaced is up
#: again within a second.
CHILDLESS = 5
#: The message of a process that shuts down by itself.
LEAVING = "is shutting down, and was not asked to by us"


class AgentReports(ABC):
    """A process with an agent."""

    status: ProcessStatus
    #: Whether it must hold a lease, and ask before it sends anything.
    leased = False
    #: The message of a process that is well; `_notice` is what a person should know of the one that runs now.
    _usual_notice = _notice = ""
    #: Reports in a row by which it consumes, and no process of its pool is up.
    _childless = 0
    #: What its hello gave to notice.
    _greeting = ""

    @abstractmethod
    def _feed(self, event: Input, message: str = "") -> None:
        """Take a step of the state machine."""

    def on_report(self, report: protocol.ProcessReport) -> None:
        match report:
            case protocol.Hello():
                self._on_hello(report)
            case protocol.Ready():
                self._on_consuming(report.children)
            case protocol.PoolReport():
                if report.ready:
                    self._on_consuming(report.children)
            case protocol.Waiting():
                broker = "its broker is away; it consumes again as soon as that is back"
                self._feed(Input.WAITING, report.reason or broker)
            case protocol.Stopping():
                self._on_leaving(LEAVING)
            case protocol.Rejected():
                self._on_rejected(report)
            case protocol.Queues():
                self._on_queues(report.names)
            case protocol.Claim() | protocol.Sent() | protocol.Begin():
                pass  # only of a leased beat

    def _on_hello(self, hello: protocol.Hello) -> None:
        self._notice = self._greeting = protocol.notice_of(hello) or self._usual_notice
        self._childless = 0
        self._on_queues(hello.queues)
        if hello.error:
            self._on_missing_agent()
        elif hello.ready:
            self._on_consuming(hello.children)
        else:
            unknown = self.status.state == "unknown"
            self._feed(Input.GREETED, "its agent answers; it does not consume yet" if unknown else "")

    def _on_queues(self, names: tuple[str, ...]) -> None:
        """Show them; an agent that does not name any yet, or never does, leaves what was known."""
        if names and names != self.status.queues:
            self.status.queues = names
            if self.status.state == "running":  # or it is published with the state that follows
                self.status.publish()

    def _on_rejected(self, report: protocol.Rejected) -> None:
        one, several = "1 message that names no task was", f"{report.nameless:,} messages that name no task were"
        words = f"{one if report.nameless == 1 else several} thrown away; its log says why"
        self._notice = "; ".join(filter(None, (self._greeting, words)))
        if self.status.state == "running":
            self.status.message = self._notice
            self.status.publish()

    def _on_missing_agent(self) -> None:
        """Say so; whether it consumes is not known."""
        if self.status.state in {"starting", "unknown"}:
            self.status.message = self._notice
            self.status.publish()

    def _on_consuming(self, children: protocol.Children | None) -> None:
        """It runs, unless no process of its pool is up: one that starts waits for the first, however long it takes."""
        if children is None or not children.none_is_up:
            self._childless = 0
            self._on_ready()
            return
        self._childless += 1
        if self._childless >= CHILDLESS:
            self._feed(Input.CHILDLESS, words.childless(children.wanted, children.within))
        elif self.status.state != "running":
            self._feed(Input.CHILDLESS)

    def _on_ready(self) -> None:
        self._feed(Input.READY, self._notice)

    def _on_leaving(self, message: str) -> None:
        self._feed(Input.LEAVING, message)

    def on_silent(self) -> None:
        self._feed(Input.SILENT, "does not answer, and takes no tasks: its main process is stopped, or stuck")

    def on_late(self, ticked: datetime) -> None:
        since = f"{ticked:%H:%M:%S} UTC"
        self._feed(Input.LATE, f"has not ticked since {since}: its scheduler hangs, or waits for its broker")

    def on_answer(self) -> None:
        self._feed(Input.ANSWERS, self._notice)
