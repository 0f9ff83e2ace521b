"""Rolling restart on one host: one process at a time, and never fewer workers than `minimum_running`."""

from collections.abc import Awaitable, Callable, Sequence

from signalbox.messages.commands import RestartProcesses
from signalbox_controller.fleet.fleet import BEYOND, Fleet
from signalbox_controller.processes.supervisor import Supervised
from signalbox_controller.words import Order


class RollingRestart:
    """One restart of several processes."""

    def __init__(self, fleet: Fleet, command: RestartProcesses, processes: Sequence[Supervised]) -> None:
        """Those of the `processes` that are stopped now are started; one that a person stops later stays stopped."""
        self.tasks_killed = 0
        self._fleet = fleet
        self._command = command
        self._processes = processes
        self._stopped = {process.spec.name for process in processes if process.status.desired == "stopped"}
        self._begun: set[str] = set()

    async def run(self, confirm: Callable[[], Awaitable[None]]) -> str:
        """Restart them one by one, those that do not run first; return why it ended early, or nothing.

        Args:
            confirm: awaited before each; raises when the restart must not go on.
        """
        for process in sorted(self._processes, key=lambda one: one.status.state == "running"):
            await confirm()
            if process.status.standby:
                continue  # it runs on another host
            if error := await self._enough_others(process):
                return error
            if error := await self._restart(process):
                return error
        return ""

    def not_begun(self) -> list[Supervised]:
        """The processes whose restart was not begun."""
        return [process for process in self._processes if process.spec.name not in self._begun]

    async def _enough_others(self, process: Supervised) -> str:
        """Wait until `minimum_running` other workers run; return an error when they do not."""
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
        spec, command, before = process.spec, self._command, process.status.instance
        if process.status.desired == "stopped":
            if spec.name not in self._stopped:
                return f"{spec.name} was stopped meanwhile"
            await self._fleet.set_desired([process], "running")
        self._begun.add(spec.name)
        patience = spec.stop_timeout if command.timeout is None else command.timeout
        patience = BEYOND + spec.start_timeout + (patience if command.mode == "graceful" else 0.0)
        process.restart(Order.of(command), command.mode, command.timeout)

        def back() -> bool:
            return process.status.instance != before and process.decided

        await process.status.until(lambda: back() or process.status.desired == "stopped", patience)
        self.tasks_killed += process.tasks_killed
        if process.status.state == "running" and process.status.instance != before:
            return ""
        return f"{spec.name} did not come back: it is {process.status.state} ({process.status.message})"
