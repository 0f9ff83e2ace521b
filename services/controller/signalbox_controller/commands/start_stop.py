"""Start and stop of processes: first the desired state, on disk, then the processes."""

from collections.abc import Sequence
from typing import Literal

from signalbox.messages.base import ProcessState
from signalbox.messages.commands import StartProcesses, StopProcesses
from signalbox.messages.receipts import ProcessReport
from signalbox_controller.commands.ports import NOT_HERE, Ports, Result
from signalbox_controller.words import Order

# An external worker is reported with the rest, and left alone: while it runs, a stop is incomplete.


async def stop_processes(command: StopProcesses, ports: Ports) -> Result:
    """Stop them, and answer once they and all their descendants are gone."""
    processes, external = ports.fleet.select(command.processes), ports.fleet.external.select(command.processes)
    if not processes and not external:
        return NOT_HERE
    await ports.fleet.set_desired(processes, "stopped")
    reports = await ports.fleet.stop(processes, Order.of(command), command.mode, command.timeout)
    reports += [worker.report() for worker in ports.fleet.external.select(command.processes)]
    return _result("stopped", "stopped", reports, sum(process.tasks_killed for process in processes))


async def start_processes(command: StartProcesses, ports: Ports) -> Result:
    """Start them, and answer once each consumes or has failed."""
    processes = ports.fleet.select(command.processes)
    external = ports.fleet.external.select(command.processes) if command.processes else []
    if not processes and not external:
        return NOT_HERE
    await ports.fleet.set_desired(processes, "running")
    reports = await ports.fleet.start(processes)
    return _result("started", "running", [*reports, *(worker.report() for worker in external)])


def _result(
    verdict: Literal["stopped", "started"], expected: ProcessState, reports: Sequence[ProcessReport], killed: int = 0
) -> Result:
    others = [report for report in reports if report.state != expected and not report.standby]
    return Result(
        verdict="incomplete" if others else verdict,
        detail=" ".join(f"{report.name} is {report.state}: {report.message}." for report in others),
        processes=tuple(reports),
        tasks_killed=killed,
    )
