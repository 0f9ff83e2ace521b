"""Service of Signalbox as a process that can be restarted with the same environment."""

import asyncio
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from signalbox_agent.proc import descendants
from signalbox_controller.linux.signals import send
from signalbox_local.processes.child import Child, Step

#: Seconds for a service to stop by itself.
STOP_TIMEOUT = 10.0
#: Longer for the controller, which ends its Celery processes first.
CONTROLLER_STOP_TIMEOUT = 20.0
#: A service that ends by itself is started again, at most so many times in so many seconds.
RESTARTS, RESTARTS_WITHIN = 5, 60.0
#: Seconds before it is started again, twice as many each time.
RESTART_PAUSE = 0.25


class Service:
    """`python -m <module>` with an environment."""

    def __init__(
        self, name: str, data: Path, environ: Mapping[str, str], *, stop_timeout: float = STOP_TIMEOUT
    ) -> None:
        self.name = name
        self.child = Child(name, data)
        self._environ = environ
        self._stop_step: Step = (signal.SIGTERM, stop_timeout)
        #: When it was started again lately, on the monotonic clock.
        self._restarts: deque[float] = deque(maxlen=RESTARTS)

    def start(self) -> None:
        """Start it; it is not ready yet when this returns."""
        self.child.start([sys.executable, "-m", f"signalbox_{self.name}"], environ=self._environ)

    async def start_again(self) -> bool:
        """Start it again after it ended by itself, after a pause; False: it has been too often."""
        now = time.monotonic()
        while self._restarts and self._restarts[0] < now - RESTARTS_WITHIN:
            self._restarts.popleft()
        if len(self._restarts) == RESTARTS:
            return False
        await asyncio.sleep(RESTART_PAUSE * 2 ** len(self._restarts))
        self._restarts.append(now)
        self.start()
        return True

    async def end_leftover(self) -> None:
        """End the process that a killed earlier run left of it."""
        await self.child.end_leftover(self._stop_step)

    async def stop(self) -> None:
        """Send TERM and wait; then KILL it with all that it started."""
        below = descendants([self.child.pid]) if self.child.running and self.child.pid else []
        await self.child.stop(self._stop_step)
        if self.child.exit_code == -signal.SIGKILL:
            for process in below:
                send(process, signal.SIGKILL)

    async def kill(self) -> None:
        """Send SIGKILL to it alone, as the kernel does when memory runs out."""
        await self.child.stop()
