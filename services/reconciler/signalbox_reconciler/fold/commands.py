"""Commands from the bus as rows of the audit trail; pure."""

from datetime import datetime, timedelta

import msgspec

from signalbox.messages.commands import (
    AllowTask,
    AnyCommand,
    CancelTask,
    CancelTasks,
    ForgetHosts,
    RestartProcesses,
    StartProcesses,
    StopProcesses,
)

#: Seconds beyond its deadlines after which no answer to a command is awaited.
SLACK = 5.0
#: Seconds that a start may take, or a command whose time-out only the hosts know.
DEFAULT_DURATION = 60.0
#: Seconds that a restart of everything, one process after the other, may take.
RESTART_DURATION = 3600.0

FORGED = "It is not signed with this installation's key, so no host obeys it; it claimed to be command {}"


class CommandRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `commands`."""

    command_id: str
    command: str
    target: str
    #: The tasks of a cancel with a valid signature.
    task_ids: tuple[str, ...] = ()
    #: The task of a release with a valid signature.
    allows: str = ""
    #: The hosts that it names, one a line.
    hosts: str = ""
    #: The hosts that it forgets, if its signature is valid.
    forgets: tuple[str, ...] = ()
    issued_by: str
    issued_from: str
    reason: str
    issued_at: datetime
    expires_at: datetime
    answer_by: datetime
    state: str = "issued"
    detail: str = ""
    finished_at: datetime | None = None

    @property
    def tasks_total(self) -> int:
        """Number of its tasks; 0 unless it is a cancel."""
        return len(self.task_ids)


def audit(command: AnyCommand) -> CommandRow:
    """The row of a command with a valid signature."""
    return CommandRow(
        command_id=command.command_id,
        command=type(command).__name__,
        target=_target(command),
        task_ids=_task_ids(command),
        allows=command.task_id if isinstance(command, AllowTask) else "",
        hosts="" if isinstance(command, CancelTask | CancelTasks | AllowTask) else "\n".join(command.hosts),
        forgets=command.hosts if isinstance(command, ForgetHosts) else (),
        issued_by=command.issued_by,
        issued_from=command.issued_from,
        reason=command.reason,
        issued_at=command.issued_at,
        expires_at=command.expires_at,
        answer_by=command.expires_at + timedelta(seconds=_duration(command) + SLACK),
    )


def audit_forged(command: AnyCommand, position: str) -> CommandRow:
    """The row of a command without a valid signature: under a new id, as the one it bears may be stolen."""
    changes = {
        "command_id": f"forged:{position}",
        "task_ids": (),
        "allows": "",
        "forgets": (),
        "state": "refused",
        "detail": FORGED.format(command.command_id),
        "finished_at": command.issued_at,
    }
    return msgspec.structs.replace(audit(command), **changes)


def _task_ids(command: AnyCommand) -> tuple[str, ...]:
    match command:
        case CancelTask():
            return (command.task_id,)
        case CancelTasks():
            return tuple(dict.fromkeys(command.task_ids))
        case _:
            return ()


def _target(command: AnyCommand) -> str:
    if isinstance(command, CancelTask | AllowTask):
        return command.task_id
    if isinstance(command, CancelTasks):
        count = len(_task_ids(command))
        return ": ".join(filter(None, (f"{count:,} {'task' if count == 1 else 'tasks'}", command.selection)))
    if isinstance(command, ForgetHosts):
        return ", ".join(command.hosts)
    what = ", ".join(command.processes) or "all processes"
    return f"{what} on {', '.join(command.hosts) or 'all hosts'}"


def _duration(command: AnyCommand) -> float:
    match command:
        case CancelTask():
            return DEFAULT_DURATION if command.grace is None else command.grace
        case CancelTasks():
            return DEFAULT_DURATION + (command.grace or 0.0)
        case StopProcesses():
            return DEFAULT_DURATION if command.timeout is None else command.timeout
        case StartProcesses() | AllowTask() | ForgetHosts():
            return DEFAULT_DURATION
        case RestartProcesses():
            return RESTART_DURATION
