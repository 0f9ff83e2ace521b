"""Embedded server: its own port, a clean stop, and a start that waits until it answers."""

import asyncio
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from signalbox_local.ports import free_port, is_free
from signalbox_local.processes.child import Child, Step
from signalbox_local.processes.waiting import until

_ATTEMPTS = 5


class EmbeddedServer(ABC):
    """A server in the data folder that keeps its port, password and data over restarts."""

    #: Its name in messages.
    name: ClassVar[str]
    #: Seconds until it must answer.
    start_deadline: ClassVar[float]
    #: Signals of a clean stop, each with its time-out in seconds.
    stop_steps: ClassVar[tuple[Step, ...]]

    def __init__(self, data: Path, child: Child) -> None:
        self.data = data
        self.child = child
        self.port = 0

    @property
    @abstractmethod
    def url(self) -> str:
        """Its address with the password, once it was started."""

    async def start(self) -> None:
        """Start it and wait until it really answers.

        Raises:
            MissingProgram: there is no such server on this machine.
            DidNotStart: it ended, or did not answer in time.
        """
        await self.child.end_leftover(*self.stop_steps)
        await self.prepare()
        try:
            started = await self._try_to_start(time.monotonic() + self.start_deadline)
        except BaseException:
            await self.stop()
            raise
        if not started:
            await self.stop()
            raise self.child.failure("did not start")

    async def stop(self) -> None:
        """Stop it cleanly; a second call does nothing."""
        await self.child.stop(*self.stop_steps)

    async def kill(self) -> None:
        """End it as a power failure would: SIGKILL, without a clean stop."""
        await self.child.stop()

    @abstractmethod
    async def prepare(self) -> None:
        """Find the programs and make the folders; called once per start."""

    @abstractmethod
    def launch(self) -> None:
        """Start the child on `self.port`."""

    @abstractmethod
    async def answers(self) -> bool:
        """Whether it accepts a connection."""

    async def _try_to_start(self, deadline: float) -> bool:
        for attempt in range(_ATTEMPTS):
            first_time = not self.port
            self.port = self.port or free_port()
            self.launch()
            if await until(self._answers_or_ended, deadline) and self.child.running:
                return True
            if self.child.running or time.monotonic() > deadline:
                break
            # Another program took the port meanwhile, or the children of a killed server still hold its memory.
            if first_time and not is_free(self.port):
                self.port = 0
            await asyncio.sleep(0.2 * (attempt + 1))
        return False

    async def _answers_or_ended(self) -> bool:
        return not self.child.running or await self.answers()
