"""Receipts of a command, for its issuer, on a short-lived stream of their own.

A proof reaches the caller through its receipt even while PostgreSQL is down; `Recorded` follows
when the record has it, too.
"""

import msgspec

from signalbox.messages.base import Evidence, Message, Moment, ProcessKind, ProcessState
from signalbox.messages.verdicts import Verdict


class ProcessReport(msgspec.Struct, frozen=True, kw_only=True):
    """One process, as the controller saw it when it answered."""

    name: str
    kind: ProcessKind
    state: ProcessState
    host: str = ""
    pid: int | None = None
    message: str = ""
    #: A beat that is as it was asked to be, although it does not run: another host's does.
    standby: bool = False
    #: Launched by somebody else, who alone can stop and start it.
    guest: bool = False
    #: Whether the configuration of its host names it.
    configured: bool = True
    #: The keys, with commas between, whose values in the configuration are not those that it runs with.
    outdated: str = ""
    #: Answers to a stop only: what proves that nothing of a process that was ended is left.
    proof: Evidence | None = None


class TaskVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a host says of one task of many."""

    task_id: str
    verdict: Verdict
    detail: str = ""
    #: Where the host knows it.
    task_name: str = ""
    #: Of a task that was ended.
    proof: Evidence | None = None


class Receipt(Message, frozen=True, kw_only=True):
    """One step on the way of a command."""

    command_id: str
    at: Moment
    host: str = ""


class Answered(Receipt, frozen=True, kw_only=True):
    """A host's last word on a command."""

    verdict: Verdict
    detail: str = ""
    task_id: str | None = None
    #: The task's name, where the host knows it.
    task_name: str = ""
    #: CancelTask and StopProcesses only, where something had to be ended; of several proofs the weakest.
    proof: Evidence | None = None
    #: CancelTasks only: those of which the host can say more than `unknown`.
    tasks: tuple[TaskVerdict, ...] = ()
    processes: tuple[ProcessReport, ...] = ()
    #: How many tasks were killed with the processes (stop only).
    tasks_killed: int = 0


class Progressed(Receipt, frozen=True, kw_only=True):
    """How far a host is with a command that takes a while."""

    done: int
    total: int


class Recorded(Receipt, frozen=True, kw_only=True):
    """The reconciler committed what a host did; `host` names whose part."""


class Concluded(Receipt, frozen=True, kw_only=True):
    """Every host that was asked has answered, or the record has concluded it; hosts that are new since ignore it."""


AnyReceipt = Answered | Progressed | Recorded | Concluded
