"""Release of a task: its id may run again on this host, and wherever the command or the released id is read."""

from signalbox.messages.commands import AllowTask
from signalbox_controller.commands.ports import Ports, Result

#: Seconds within which a worker whose controller was away connects again.
WITHIN = 3.0


async def allow_task(command: AllowTask, ports: Ports) -> Result:
    """Refuse the id no more; workers that are not connected hear of it when they are."""
    ports.cancelled.allow(command.task_id, command.issued_at)
    silent = ", ".join(await ports.agents.silent(WITHIN))
    return Result(verdict="allowed", detail=f"{silent} refuses it until it is connected again." if silent else "")
