"""Restart of processes: one after the other, each running again before the next one is stopped."""

from collections.abc import Sequence

from signalbox.messages.commands import RestartProcesses
from signalbox_controller.commands.ports import NOT_HERE, Ports, Result
from signalbox_controller.errors import RestartNotAllowed
from signalbox_controller.external.worker import LAUNCHED_BY_OTHERS
from signalbox_controller.fleet.rolling import RollingRestart
from signalbox_controller.processes.supervisor import Supervised

NOTHING_RUNS = Result(verdict="unknown", detail="No process of this host is to run: there is none to restart.")


async def restart_processes(command: RestartProcesses, ports: Ports) -> Result:
    """Restart them when this host holds the rolling lock, and answer once all consume, or one did not come back."""
    named = ports.fleet.select(command.processes)
    chosen = named if command.processes else [one for one in named if one.status.desired == "running"]
    external = ports.fleet.external.select(command.processes) if command.processes else []
    if external:
        names = ", ".join(worker.note.name for worker in external)
        detail = f"{names}: {LAUNCHED_BY_OTHERS}. Nothing was restarted."
        return Result(verdict="incomplete", detail=detail, processes=tuple(worker.report() for worker in external))
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
        detail=_detail(error, restart.not_begun()),
        processes=tuple(process.status.report() for process in chosen),
        tasks_killed=restart.tasks_killed,
    )


def _detail(error: str, not_begun: Sequence[Supervised]) -> str:
    if not error:
        return ""
    names = ", ".join(process.spec.name for process in not_begun)
    return f"{error}; not restarted: {names}" if names else error
