"""A rolling restart on one host: never two processes at once, never fewer workers than are to be left running."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from signalbox_controller.fleet import BEYOND, Fleet
from signalbox_controller.supervisor import Mode, Supervised
from signalbox_controller.wording import Order


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How each process is stopped; durations are in seconds."""

    order: Order
    mode: Mode = "graceful"
    timeout: float | None = None


class Roll:
    """One restart, process by process."""

    def __init__(self, fleet: Fleet, manner: Manner) -> None:
        self.tasks_killed = 0
        self._fleet = fleet
        self._manner = manner
        self._begun: set[str] = set()

    async def through(self, processes: Sequence[Supervised], confirm: Callable[[], Awaitable[None]]) -> str:
        """Restart them in turn, those that do not run first; answers why it ended early, or nothing.

        Args:
            processes: whom to restart.
            confirm: awaited before each; raises when it must not go on.
        """
        stopped = {process.spec.name for process in processes if process.standing.wish == "stopped"}
        for process in sorted(processes, key=lambda one: one.standing.state == "running"):
            await confirm()
            if process.standing.standby:
                continue  # another host runs it, and this one nothing that could be restarted
            if process.standing.wish == "stopped" and process.spec.name not in stopped:
                return f"{process.spec.name} was stopped meanwhile"
            if trouble := await self._enough_others(process):
                return trouble
            if trouble := await self._restart(process):
                return trouble
        return ""

    def untouched(self, processes: Sequence[Supervised]) -> list[Supervised]:
        """Those of them whose turn did not come."""
        return [process for process in processes if process.spec.name not in self._begun]

    async def _enough_others(self, process: Supervised) -> str:
        """Wait until as many other workers run as are to be left running."""
        spec = process.spec
        if spec.kind != "worker" or process.standing.state != "running":
            return ""
        others = self._fleet.workers_beside(spec)
        least = spec.minimum_running

        def enough() -> bool:
            return sum(other.standing.state == "running" for other in others) >= least

        if await self._fleet.until(others, enough, spec.start_timeout):
            return ""
        count = sum(other.standing.state == "running" for other in others)
        return f"minimum_running of {spec.label} is {least}, and beside {spec.name} only {count} ran"

    async def _restart(self, process: Supervised) -> str:
        spec, manner, before = process.spec, self._manner, process.standing.instance
        self._begun.add(spec.name)
        patience = spec.stop_timeout if manner.timeout is None else manner.timeout
        patience = BEYOND + spec.start_timeout + (patience if manner.mode == "graceful" else 0.0)
        await self._fleet.want([process], "running")
        process.restart(manner.order, manner.mode, manner.timeout)

        def back() -> bool:
            return process.standing.instance != before and process.decided

        await process.standing.until(lambda: back() or process.standing.wish == "stopped", patience)
        self.tasks_killed += process.tasks_killed
        if process.standing.state == "running" and process.standing.instance != before:
            return ""
        return f"{spec.name} did not come back: it is {process.standing.state} ({process.standing.message})"
