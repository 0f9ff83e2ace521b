"""Answer to a cancel of many tasks: pure, task by task as for a single one, and together in one sentence."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import msgspec

from signalbox.client.results import CancelResult
from signalbox.messages.base import Evidence
from signalbox.messages.verdicts import AnswerStatus, CancelVerdict, counted
from signalbox_api.answers import cancel
from signalbox_api.answers.bodies import TasksFilter
from signalbox_api.answers.cancel import Case, Decision
from signalbox_api.record.task_lists import Match, Matches

#: Outcome of one task.
BulkOutcome = Literal[CancelVerdict, "invalid"]  # the latter is not a task id

#: Tasks that a dry run shows.
SAMPLE = 10
#: Outcomes after the first part of the sentence, in their order.
_NOT_CANCELLED: tuple[CancelVerdict, ...] = ("finished", "unproven", "alive", "unsupported", "unknown", "refused")
#: Outcomes of a task that does not run.
_ENDED: frozenset[BulkOutcome] = frozenset({"cancelled", "dropped", "finished"})


class BulkTask(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of one task of many."""

    task_id: str
    #: Empty where nobody knows the task.
    name: str
    outcome: BulkOutcome
    message: str
    #: As in the answer to the cancel of this task alone.
    proof: Evidence | None = None


class BulkAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of a cancel of many tasks."""

    #: `success`: none of them runs, nor will. `accepted`: of some that is not proven yet. `error`: some were not ended.
    status: AnswerStatus
    message: str
    command_ids: Sequence[str]
    counts: dict[BulkOutcome, int]
    tasks: Sequence[BulkTask]
    #: How many tasks the filter matched; null where ids were given.
    matched: int | None = None


class BulkPreview(msgspec.Struct, frozen=True, kw_only=True):
    """Preview of a cancel: what a filter matches now. It is no promise, as tasks come and go."""

    message: str
    matched: int
    running: int
    pending: int
    #: The newest of them.
    sample: Sequence[Match]
    status: Literal["success"] = "success"
    dry_run: bool = True


class BulkProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Progress of a cancel: a line of an answer that has several."""

    done: int
    total: int
    status: Literal["progress"] = "progress"


def from_hosts(case: Case, result: CancelResult) -> BulkTask:
    """The outcome of one task after the hosts were asked."""
    return _task(case, cancel.from_hosts(case, result), result)


def from_record(case: Case) -> BulkTask | None:
    """The outcome of one task where the record alone gives it; None: the hosts must be asked."""
    decision = cancel.from_record(case)
    return _task(case, decision, None) if decision else None


def no_task_id(text: str) -> BulkTask:
    """The outcome of a text that is no task id."""
    return BulkTask(task_id=text, name="", outcome="invalid", message="This is not a task id; nothing was done")


def _task(case: Case, decision: Decision, result: CancelResult | None) -> BulkTask:
    name = case.task.name if case.task else result.task_name if result else ""
    single = decision.answer
    return BulkTask(
        task_id=case.task_id, name=name, outcome=decision.outcome, message=single.message, proof=single.proof
    )


def answer(
    tasks: Sequence[BulkTask], command_ids: Sequence[str], *, matched: int | None, recorded: bool
) -> tuple[int, BulkAnswer]:
    """The HTTP status and the answer; `matched` is None where the caller named the tasks."""
    counts: Counter[BulkOutcome] = Counter(task.outcome for task in tasks)
    status: AnswerStatus = "error"
    if counts["unproven"]:
        status = "accepted"
    elif set(counts) <= _ENDED:
        status = "success"
    body = BulkAnswer(
        status=status,
        message=_sentence(tasks, counts, matched, recorded=recorded),
        command_ids=command_ids,
        counts=dict(counts),
        tasks=tasks,
        matched=matched,
    )
    return 202 if status == "accepted" else 200, body


def _sentence(tasks: Sequence[BulkTask], counts: Counter[BulkOutcome], matched: int | None, *, recorded: bool) -> str:
    if not tasks:
        return "No task matches; nothing was cancelled"
    done, total = counts["cancelled"] + counts["dropped"], len(tasks)
    if done == total:
        end = "cancelled and marked as failed" if recorded else "cancelled; the record will follow"
        parts = [f"{_all(total)} been {end}"]
    else:
        parts = [f"{done:,} of {_count(total)} {'has' if done == 1 else 'have'} been cancelled"]
    parts += [counted(count, outcome) for outcome in _NOT_CANCELLED if (count := counts[outcome])]
    if invalid := counts["invalid"]:
        parts.append(f"{invalid:,} {'is not a task id' if invalid == 1 else 'are not task ids'}")
    if matched is not None and matched > total:
        parts.append(f"{matched - total:,} more match: cancel again to go on with them")
    return "; ".join(parts)


def preview(matches: Matches, limit: int) -> BulkPreview:
    """The answer to a dry run."""
    return BulkPreview(
        message=_preview_sentence(matches, limit),
        matched=matches.total,
        running=matches.running,
        pending=matches.total - matches.running,
        sample=matches.tasks[:SAMPLE],
    )


def _preview_sentence(matches: Matches, limit: int) -> str:
    if not matches.total:
        return "No task matches now; nothing would be cancelled"
    waiting = matches.total - matches.running
    kinds = [f"{count:,} {word}" for count, word in ((matches.running, "running"), (waiting, "pending")) if count]
    match_now = f"{_count(matches.total)} {'matches' if matches.total == 1 else 'match'} now: {' and '.join(kinds)}"
    bound = f"; one call cancels the newest {limit:,} of them" if matches.total > limit else ""
    return f"{match_now}{bound}. Nothing was cancelled"


def selection(chosen: TasksFilter) -> str:
    """A filter in words, for the audit trail: `pending tasks named charge on web-07`."""
    parts = [f"{chosen.status or 'pending and running'} tasks"]
    parts += [f"named {chosen.name}"] if chosen.name else []
    parts += [f"on {chosen.host}"] if chosen.host else []
    parts += [f"in the queue {chosen.queue}"] if chosen.queue else []
    parts += [f"with {chosen.q!r} in name, id, error or arguments"] if chosen.q else []
    parts += [f"older than {chosen.older_than:g} s"] if chosen.older_than is not None else []
    return " ".join(parts)


def _count(number: int) -> str:
    return "1 task" if number == 1 else f"{number:,} tasks"


def _all(number: int) -> str:
    return "The task has" if number == 1 else f"All {number:,} tasks have"
