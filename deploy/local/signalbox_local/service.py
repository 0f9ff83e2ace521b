"""One of our services as a process that can be started again with the same environment."""

import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from signalbox_local.child import Child, Step
from signalbox_local.descendants import descendants

#: Seconds that a service gets to stop by itself.
PATIENCE = 10.0
#: The controller ends its Celery processes first.
CONTROLLER_PATIENCE = 20.0


class Service:
    """`python -m <module>` with an environment."""

    def __init__(self, name: str, data: Path, environ: Mapping[str, str], *, patience: float = PATIENCE) -> None:
        self.name = name
        self.child = Child(name, data)
        self._environ = environ
        self._farewell: Step = (signal.SIGTERM, patience)

    def start(self) -> None:
        """Start it; it is not ready yet when this returns."""
        self.child.start([sys.executable, "-m", f"signalbox_{self.name}"], environ=self._environ)

    async def end_leftover(self) -> None:
        """End what an earlier run that was killed has left of it."""
        await self.child.end_leftover(self._farewell)

    async def stop(self) -> None:
        """TERM, and wait; KILL when it does not listen, with all that it started."""
        below = descendants(self.child.pid) if self.child.running and self.child.pid else []
        await self.child.stop(self._farewell)
        if self.child.exit_code == -signal.SIGKILL:
            for process in below:
                process.send(signal.SIGKILL)

    async def kill(self) -> None:
        """SIGKILL to it alone, as the kernel does when memory runs out."""
        await self.child.stop()
