"""What several hosts' answers amount to: pure, and the same for every caller."""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from signalbox.messages.receipts import Answered, TaskVerdict, Verdict

#: The worst news wins: a task that is dead on one host and alive on another is alive.
GRAVITY: tuple[Verdict, ...] = (
    "unknown",
    "refused",
    "finished",
    "dropped",
    "cancelled",
    "stopped",
    "started",
    "unsupported",
    "incomplete",
    "unproven",
    "alive",
)


def gravest(answers: Iterable[Answered]) -> Answered | None:
    """The answer that the caller must hear first; none when there is no answer."""
    return max(answers, key=lambda answer: GRAVITY.index(answer.verdict), default=None)


def together(verdicts: Collection[Verdict]) -> Verdict:
    """What a stop or a start came to on several hosts; where one of them refused it, it is not done."""
    worst = max(verdicts, key=GRAVITY.index)
    return "incomplete" if worst in {"stopped", "started"} and "refused" in verdicts else worst


def decisive(answer: Answered | None) -> bool:
    """Whether an answer says more than that this host has nothing to do with it."""
    return answer is not None and answer.verdict not in {"unknown", "refused"}


def silent(hosts: frozenset[str], answers: Mapping[str, Answered]) -> frozenset[str]:
    """The hosts that listen and have not answered yet."""
    return hosts - answers.keys()


def task_by_task(task_ids: Iterable[str], answers: Collection[Answered], *, complete: bool) -> tuple[TaskVerdict, ...]:
    """What the hosts' answers come to for each task of many; `complete` tells that every host has answered."""
    found: dict[str, TaskVerdict] = {}
    for task in (task for answer in answers for task in answer.tasks):
        known = found.get(task.task_id)
        if known is None or GRAVITY.index(task.verdict) > GRAVITY.index(known.verdict):
            found[task.task_id] = task
    other = _not_named(answers, complete=complete)
    return tuple(found.get(task_id) or msgspec.structs.replace(other, task_id=task_id) for task_id in task_ids)


def _not_named(answers: Collection[Answered], *, complete: bool) -> TaskVerdict:
    """What is known of a task that no host names: it is nowhere, unless somebody has not looked."""
    refused = next((answer for answer in answers if answer.verdict == "refused"), None)
    if refused is not None:
        return TaskVerdict(task_id="", verdict="refused", detail=refused.detail)
    whole = next((answer for answer in answers if answer.verdict == "unproven" and not answer.tasks), None)
    if whole is not None:
        return TaskVerdict(task_id="", verdict="unproven", detail=whole.detail)
    return TaskVerdict(task_id="", verdict="unknown" if complete else "unproven")
