"""A bulk cancel: the commands for many tasks, their progress, and their verdicts task by task: pure."""

from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec

from signalbox.client.receipts import Collected
from signalbox.client.results import BulkResult
from signalbox.messages.commands import MOST_TASKS
from signalbox.messages.ids import task_key
from signalbox.messages.receipts import Answered, TaskVerdict
from signalbox.messages.verdicts import severity

#: Is called with the number of tasks that are done, and their total.
Progress = Callable[[int, int], None]


class Bulk:
    """Bulk cancel: its commands, its progress and its result."""

    def __init__(self, task_ids: Sequence[str], on_progress: Progress | None = None) -> None:
        """An id that is given twice counts once."""
        self._ids = tuple(dict.fromkeys(task_ids))
        #: The ids of each command.
        self.parts = [self._ids[at : at + MOST_TASKS] for at in range(0, len(self._ids), MOST_TASKS)]
        self._on_progress = on_progress
        self._done = [0] * len(self.parts)
        self._reported = -1

    def following(self, part: int) -> Callable[[Collected], None]:
        """A function that takes the receipts of the command of this part."""

        def follow(receipts: Collected) -> None:
            started = receipts.answers or receipts.progress
            self._done[part] = max(self._done[part], len(self.parts[part]) - receipts.to_do) if started else 0
            done = sum(self._done)
            if self._on_progress is not None and done > self._reported:
                self._reported = done
                self._on_progress(done, len(self._ids))

        return follow

    def result(self, command_ids: Sequence[str], collected: Sequence[Collected]) -> BulkResult:
        """The result from all receipts."""
        return BulkResult(
            command_ids=tuple(command_ids),
            tasks=tuple(
                verdict
                for part, receipts in zip(self.parts, collected, strict=True)
                for verdict in task_by_task(part, receipts.answers.values(), complete=receipts.complete)
            ),
            recorded=all(receipts.all_recorded for receipts in collected),
            silent=frozenset(host for receipts in collected for host in receipts.silent),
        )


def task_by_task(task_ids: Iterable[str], answers: Collection[Answered], *, complete: bool) -> tuple[TaskVerdict, ...]:
    """The verdict on each task from the answers of the hosts; `complete`: every host has answered."""
    found: dict[str, TaskVerdict] = {}
    for task in (task for answer in answers for task in answer.tasks):
        known = found.get(task.task_id)
        if known is None or severity(task.verdict) > severity(known.verdict):
            found[task.task_id] = task
    other = _not_named(answers, complete=complete)
    return tuple(_named(found.get(task_key(task_id), other), task_id) for task_id in task_ids)


def _named(verdict: TaskVerdict, task_id: str) -> TaskVerdict:
    """The verdict under the id that the caller gave."""
    return verdict if verdict.task_id == task_id else msgspec.structs.replace(verdict, task_id=task_id)


def _not_named(answers: Collection[Answered], *, complete: bool) -> TaskVerdict:
    """The verdict on a task that no host names: unknown, unless a host refused or did not look."""
    refused = next((answer for answer in answers if answer.verdict == "refused"), None)
    if refused is not None:
        return TaskVerdict(task_id="", verdict="refused", detail=refused.detail)
    whole = next((answer for answer in answers if answer.verdict == "unproven" and not answer.tasks), None)
    if whole is not None:
        return TaskVerdict(task_id="", verdict="unproven", detail=whole.detail)
    return TaskVerdict(task_id="", verdict="unknown" if complete else "unproven")
