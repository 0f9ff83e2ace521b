"""Status of a supervised process, as badges show it: published on each change."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import msgspec

from signalbox.messages.base import ProcessKind, ProcessState, utc_now
from signalbox.messages.events import Event, ProcessChanged
from signalbox.messages.receipts import ProcessReport
from signalbox_controller import words
from signalbox_controller.processes.desired import Desired
from signalbox_controller.processes.machine import ALIVE


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a process that never change, and that people see."""

    name: str
    kind: ProcessKind
    #: Celery's name for a worker; beat has none. A process that was adopted may have another one.
    node: str
    host: str
    #: Whether it is an external worker.
    guest: bool = False


class ProcessStatus:
    """The fields of a process that change, and that people see; set what changed, then `publish`."""

    def __init__(self, identity: Identity, desired: Desired, publish: Callable[[Event], None]) -> None:
        self.state: ProcessState = "stopped"
        self.desired: Desired = desired
        self.message = "not started yet" if desired == "running" else "was stopped by a person and stays so"
        self.instance = ""
        self.pid: int | None = None
        self.exit_code: int | None = None
        #: Whether it is a beat that does not run because another host's does.
        self.standby = False
        #: The queues that a worker consumes, by its own report.
        self.queues: tuple[str, ...] = ()
        #: Celery's name for the process that runs.
        self.node = identity.node
        #: Whether the configuration names it: what it names no longer is not launched again.
        self.configured = True
        #: The keys whose values in the file are not those that it runs with.
        self.outdated: tuple[str, ...] = ()
        #: When it will be killed, while it has time to stop.
        self.kill_at: datetime | None = None
        self._since: datetime = utc_now()
        self._identity = identity
        self._publish = publish
        self._published: ProcessChanged | None = None
        self._changed = asyncio.Event()

    @property
    def name(self) -> str:
        """Its name on the host."""
        return self._identity.name

    def enter(self, state: ProcessState) -> None:
        """Set the state, and the time since when it lasts."""
        self.state = state
        self._since = utc_now()

    def publish(self) -> None:
        """Publish the status, unless it is the one that was published last."""
        now = self.event()
        if self._published is None or msgspec.structs.replace(now, at=self._published.at) != self._published:
            self._published = now
            self._publish(now)
            self._changed.set()
            self._changed = asyncio.Event()

    async def until(self, met: Callable[[], bool], seconds: float) -> bool:
        """Wait for a change after which `met` holds, for at most so long; answer whether it does."""
        try:
            async with asyncio.timeout(seconds):
                while not met():
                    await self._changed.wait()
        except TimeoutError:
            return met()
        return True

    def event(self) -> ProcessChanged:
        """The status as an event."""
        identity = msgspec.structs.asdict(self._identity) | {"node": self.node}
        alive = self.state in ALIVE
        outdated = ", ".join(self.outdated) if alive else ""
        return ProcessChanged(
            at=utc_now(),
            **identity,
            state=self.state,
            desired=self.desired,
            instance=self.instance,
            pid=self.pid,
            since=self._since,
            exit_code=self.exit_code,
            message=words.of_process(self.message, configured=self.configured or not alive, outdated=outdated),
            configured=self.configured,
            outdated=outdated,
            standby=self.standby,
            kill_at=self.kill_at,
            queues=self.queues,
        )

    def report(self) -> ProcessReport:
        """The status as part of an answer."""
        return msgspec.convert(self.event(), ProcessReport, from_attributes=True)
