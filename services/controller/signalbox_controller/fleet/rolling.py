"""A rolling restart on one host: never two processes at once, never fewer workers than are to be left running."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from signalbox_controller.fleet.fleet import BEYOND, Fleet
from signalbox_controller.processes.supervisor import Mode, Supervised
from signalbox_controller.words import Order


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How each process is stopped; durations are in seconds."""

    order: Order
    mode: Mode = "graceful"
    timeout: float | None = None


class Roll:
    """One restart, process by process."""

    def __init__(self, fleet: Fleet, manner: Manner, processes: Sequence[Supervised]) -> None:
        """Those of the `processes` that are stopped now are started; one that is stopped later stays so."""
        self.tasks_killed = 0
        self._fleet = fleet
        self._manner = manner
        self._processes = processes
        self._stopped = {process.spec.name for process in processes if process.status.wish == "stopped"}
        self._begun: set[str] = set()

    async def through(self, confirm: Callable[[], Awaitable[None]]) -> str:
        """Restart them in turn, those that do not run first; answers why it ended early, or nothing.

        Args:
            confirm: awaited before each; raises when it must not go on.
        """
        for process in sorted(self._processes, key=lambda one: one.status.state == "running"):
            await confirm()
            if process.status.standby:
                continue  # another host runs it, and this one nothing that could be restarted
            if trouble := await self._enough_others(process):
                return trouble
            if trouble := await self._restart(process):
                return trouble
        return ""

    def not_begun(self) -> list[Supervised]:
        """The processes whose restart was not begun."""
        return [process for process in self._processes if process.spec.name not in self._begun]

    async def _enough_others(self, process: Supervised) -> str:
        """Wait until as many other workers run as are to be left running."""
        spec = process.spec
        if spec.kind != "worker" or process.status.state != "running":
            return ""
        others = self._fleet.workers_beside(spec)
        least = spec.minimum_running

        def enough() -> bool:
            return sum(other.status.state == "running" for other in others) >= least

        if await self._fleet.until(others, enough, spec.start_timeout):
            return ""
        count = sum(other.status.state == "running" for other in others)
        return f"minimum_running of {spec.label} is {least}, and beside {spec.name} only {count} ran"

    async def _restart(self, process: Supervised) -> str:
        spec, manner, before = process.spec, self._manner, process.status.instance
        if process.status.wish == "stopped":
            if spec.name not in self._stopped:
                return f"{spec.name} was stopped meanwhile"
            await self._fleet.want([process], "running")
        self._begun.add(spec.name)
        patience = spec.stop_timeout if manner.timeout is None else manner.timeout
        patience = BEYOND + spec.start_timeout + (patience if manner.mode == "graceful" else 0.0)
        process.restart(manner.order, manner.mode, manner.timeout)

        def back() -> bool:
            return process.status.instance != before and process.decided

        await process.status.until(lambda: back() or process.status.wish == "stopped", patience)
        self.tasks_killed += process.tasks_killed
        if process.status.state == "running" and process.status.instance != before:
            return ""
        return f"{spec.name} did not come back: it is {process.status.state} ({process.status.message})"
