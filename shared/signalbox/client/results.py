"""Results of commands, as their caller sees them; a cancel that did not succeed becomes an error."""

from collections import Counter

import msgspec

from signalbox.errors import NotProven
from signalbox.messages.base import Evidence
from signalbox.messages.receipts import ProcessReport, TaskVerdict
from signalbox.messages.verdicts import CANCELLED, MEANING, Verdict


class CancelResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a cancel, or its state when the wait was over."""

    task_id: str
    command_id: str
    #: None: no proof has come within the wait.
    verdict: Verdict | None
    detail: str = ""
    #: Empty where no host knew the task.
    task_name: str = ""
    #: What proves that nothing of the task is left; none where nothing had to be ended.
    proof: Evidence | None = None
    #: The record shows the result, too.
    recorded: bool = False
    #: Hosts that read commands and have not answered.
    silent: frozenset[str] = frozenset()

    @property
    def verified(self) -> bool:
        """Whether the task was seen not to run any more, or can never start."""
        return self.verdict in CANCELLED


class AllowResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a release, or its state when the wait was over."""

    task_id: str
    command_id: str
    #: No host refused it.
    allowed: bool
    #: Why a host refused it.
    detail: str = ""
    #: The record shows it.
    recorded: bool = False
    #: The hosts that read commands and have not answered; they carry it out however late they read it.
    silent: frozenset[str] = frozenset()


class ForgetResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of forgetting hosts."""

    hosts: tuple[str, ...]
    command_id: str
    #: None: the record has not answered within the wait; it forgets them as soon as it can.
    verdict: Verdict | None
    detail: str = ""


class BulkResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a cancel of many tasks, or its state when the wait was over."""

    command_ids: tuple[str, ...]
    #: One for each id, in their order; `unproven` where no proof has come within the wait.
    tasks: tuple[TaskVerdict, ...]
    #: The record shows the result, too.
    recorded: bool = False
    #: Hosts that read commands and have not answered.
    silent: frozenset[str] = frozenset()

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many tasks came to each verdict."""
        return dict(Counter(task.verdict for task in self.tasks))

    @property
    def verified(self) -> bool:
        """Whether every task was seen not to run any more, or can never start."""
        return all(task.verdict in CANCELLED for task in self.tasks)


class ProcessesResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a stop, start or restart, or its state when the wait was over."""

    command_id: str
    #: None: not every host has answered within the wait.
    verdict: Verdict | None
    detail: str = ""
    processes: tuple[ProcessReport, ...] = ()
    #: How many running tasks ended with their processes.
    tasks_killed: int = 0
    #: Of a stop: what proves that nothing is left, of all processes that were ended the weakest.
    proof: Evidence | None = None
    recorded: bool = False
    #: Hosts that were asked and have not answered.
    silent: frozenset[str] = frozenset()
    #: Those of them that are away: they may carry it out until the command expires, and refuse it later.
    away: frozenset[str] = frozenset()


def succeed_or_raise(result: CancelResult) -> CancelResult:
    """The result of a proven cancel; anything else as the error that it is.

    Raises:
        UnknownTask: no worker knows the task; all of them will refuse it should it arrive.
        TaskAlreadyFinished: it ended by itself.
        CannotCancel: its pool cannot kill a single task.
        StillAlive: it outlived SIGKILL.
        NotProven: no proof came within the wait; the cancel may still succeed.
    """
    if result.verified:
        return result
    error = MEANING[result.verdict].error if result.verdict else None
    if error is not None:
        raise error(f"task {result.task_id}: {result.detail or result.verdict}")
    raise NotProven(f"task {result.task_id}: {_why_unproven(result)}; the cancel is still under way")


def _why_unproven(result: CancelResult) -> str:
    if result.detail:
        return result.detail
    if result.silent:
        return f"no answer yet from {', '.join(sorted(result.silent))}"
    return "no controller has answered; is one running?"
