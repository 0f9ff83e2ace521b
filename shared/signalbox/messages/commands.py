"""Commands, named in the imperative. Read by every controller, and by the reconciler for the audit trail."""

from typing import Annotated, Literal, get_args

import msgspec

from signalbox.messages.base import Message, Moment
from signalbox.messages.ids import task_key

#: Seconds between TERM and KILL when neither the caller nor the worker's configuration says.
DEFAULT_GRACE = 5.0
#: Tasks that one command may name: a bound for the size of a message (0.4 MB).
MOST_TASKS = 10_000
#: Hosts that one command may forget.
MOST_HOSTS = 1000


class Command(Message, frozen=True, kw_only=True):
    """Who wants what, why, and until when; carried out at most once, and refused after `expires_at`."""

    command_id: str
    #: `user:alice`, `token:deploys`, `service:billing`.
    issued_by: str
    #: Both by the clock of Redis.
    issued_at: Moment
    expires_at: Moment
    #: The network address that the request came from, where there is one.
    issued_from: str = ""
    reason: str = ""


class CancelTask(Command, frozen=True, kw_only=True):
    """End this task wherever it is, and never let it run (again); carried out however late it is read."""

    #: Becomes its key: see `signalbox.messages.ids`.
    task_id: str
    #: Seconds from TERM to KILL; none means what the worker's configuration says.
    grace: float | None = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "task_id", task_key(self.task_id))


class CancelTasks(Command, frozen=True, kw_only=True):
    """End these tasks wherever they are, and never let them run (again): many at once, and one line of the trail."""

    task_ids: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MOST_TASKS)]
    #: In words: how they were chosen, such as `pending tasks named charge`.
    selection: str = ""
    #: As in CancelTask.
    grace: float | None = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "task_ids", tuple(map(task_key, self.task_ids)))


class AllowTask(Command, frozen=True, kw_only=True):
    """Let this id run again, whatever cancels were given before; carried out however late it is read."""

    task_id: str

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "task_id", task_key(self.task_id))


class StopProcesses(Command, frozen=True, kw_only=True):
    """Stop workers and beat; an empty target means all of them."""

    hosts: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()
    #: `graceful` lets running tasks finish until the time-out; `immediate` does not wait.
    mode: Literal["graceful", "immediate"] = "graceful"
    #: Seconds that a graceful stop may take; none means what the host's configuration says.
    timeout: float | None = None
    #: Whether a task that the stop ends may run again, if Celery acknowledges it late; else it has failed for good.
    redeliver: bool = False


class StartProcesses(Command, frozen=True, kw_only=True):
    """Start workers and beat; an empty target means all that are configured."""

    hosts: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()


class RestartProcesses(Command, frozen=True, kw_only=True):
    """Stop workers and beat and start them again, one after the other over all hosts; an empty target means all.

    What a person stopped stays stopped, unless it is named. The first process that does not come back ends it.
    """

    hosts: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()
    #: As in StopProcesses, for each process.
    mode: Literal["graceful", "immediate"] = "graceful"
    timeout: float | None = None
    redeliver: bool = False


class ForgetHosts(Command, frozen=True, kw_only=True):
    """Forget hosts that have left for good; the record refuses it for a host that is there, and controllers ignore it.

    A host that reports again is shown again.
    """

    hosts: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MOST_HOSTS)]


AnyCommand = CancelTask | CancelTasks | AllowTask | StopProcesses | StartProcesses | RestartProcesses | ForgetHosts


class UnknownCommand(msgspec.Struct, frozen=True, kw_only=True):
    """What all commands have in common, read from one whose type this release may not know."""

    type: str
    command_id: str
    issued_by: str
    expires_at: Moment
    hosts: tuple[str, ...] = ()


#: The types that this release knows.
TYPES = frozenset(kind.__name__ for kind in get_args(AnyCommand))
