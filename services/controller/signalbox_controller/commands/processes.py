"""Start, stop and restart of processes: first the desired state, on disk, then the processes."""

from collections.abc import Sequence
from typing import Literal

from signalbox.messages.base import ProcessState, weakest
from signalbox.messages.commands import RestartProcesses, StartProcesses, StopProcesses
from signalbox.messages.receipts import ProcessReport
from signalbox_controller.cancelling.wording import limits_of
from signalbox_controller.commands.ports import Ports, Result
from signalbox_controller.errors import RestartNotAllowed
from signalbox_controller.external.worker import LAUNCHED_BY_OTHERS
from signalbox_controller.fleet.rolling import RollingRestart
from signalbox_controller.processes.supervisor import Supervised
from signalbox_controller.words import Order

NOT_HERE = Result(verdict="unknown", detail="No process of that name is configured on this host.")
NOTHING_RUNS = Result(verdict="unknown", detail="No process of this host is to run: there is none to restart.")

#: What comes of a start or restart of a process that the file does not name.
NOT_CONFIGURED = "no longer configured, so it is not started again"

# An external worker is reported with the rest, and left alone: while it runs, a stop is incomplete.


async def stop_processes(command: StopProcesses, ports: Ports) -> Result:
    """Stop them, and answer once they and all their descendants are gone."""
    processes, external = ports.fleet.select(command.processes), ports.fleet.external.reports(command.processes)
    if not processes and not external:
        return NOT_HERE
    await ports.fleet.set_desired(processes, "stopped")
    reports = await ports.fleet.stop(processes, Order.of(command), command.mode, command.timeout)
    reports += ports.fleet.external.reports(command.processes)
    return _result("stopped", "stopped", reports, sum(process.tasks_killed for process in processes))


async def start_processes(command: StartProcesses, ports: Ports) -> Result:
    """Start them, and answer once each consumes or has failed."""
    named = ports.fleet.select(command.processes)
    external = ports.fleet.external.reports(command.processes) if command.processes else []
    if not named and not external:
        return NOT_HERE
    if command.processes and (unconfigured := [one for one in named if not one.configured]):
        return _not_configured(unconfigured, "started")
    processes = [process for process in named if process.configured]
    await ports.fleet.set_desired(processes, "running")
    reports = await ports.fleet.start(processes)
    return _result("started", "running", [*reports, *external])


async def restart_processes(command: RestartProcesses, ports: Ports) -> Result:
    """Restart one after the other under the rolling lock; answer once all consume, or one did not come back."""
    named = ports.fleet.select(command.processes)
    chosen = named if command.processes else [one for one in named if one.status.desired == "running"]
    external = ports.fleet.external.reports(command.processes) if command.processes else []
    if external:
        names = ", ".join(worker.name for worker in external)
        detail = f"{names}: {LAUNCHED_BY_OTHERS}. Nothing was restarted."
        return Result(verdict="incomplete", detail=detail, processes=tuple(external))
    if unconfigured := [process for process in chosen if not process.configured]:
        return _not_configured(unconfigured, "restarted")
    if not chosen:
        return NOT_HERE if command.processes else NOTHING_RUNS
    restart = RollingRestart(ports.fleet, command, chosen)
    alone = command.hosts == (ports.host,)
    try:
        async with ports.rolling_lock(command.command_id, alone=alone) as lock:
            error = await restart.run(lock.confirm)
            if error:
                await lock.call_off(error)
    except RestartNotAllowed as not_allowed:
        error = str(not_allowed)
    return Result(
        verdict="incomplete" if error else "started",
        detail=_not_restarted(error, restart.not_begun()),
        processes=tuple(process.status.report() for process in chosen),
        tasks_killed=restart.tasks_killed,
    )


def _not_configured(processes: Sequence[Supervised], verb: str) -> Result:
    names = ", ".join(process.spec.name for process in processes)
    reports = tuple(process.status.report() for process in processes)
    return Result(verdict="incomplete", detail=f"{names}: {NOT_CONFIGURED}. Nothing was {verb}.", processes=reports)


def _not_restarted(error: str, not_begun: Sequence[Supervised]) -> str:
    if not error:
        return ""
    names = ", ".join(process.spec.name for process in not_begun)
    return f"{error}; not restarted: {names}" if names else error


def _result(
    verdict: Literal["stopped", "started"], expected: ProcessState, reports: Sequence[ProcessReport], killed: int = 0
) -> Result:
    others = [report for report in reports if report.state != expected and not report.standby]
    proof = weakest(report.proof for report in reports)
    detail = " ".join(f"{report.name} is {report.state}: {report.message}." for report in others)
    return Result(
        verdict="incomplete" if others else verdict,
        detail=detail or limits_of(proof, shared=False),
        proof=proof,
        processes=tuple(reports),
        tasks_killed=killed,
    )
