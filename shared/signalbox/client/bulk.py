"""A bulk cancel: the commands for many tasks, their progress, and their verdicts task by task: pure."""

from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec

from signalbox.client.receipts import Collected
from signalbox.client.results import BulkResult
from signalbox.messages.commands import MOST_TASKS
from signalbox.messages.receipts import Answered, TaskVerdict
from signalbox.messages.verdicts import severity

#: Is told how many tasks of how many are done.
Progress = Callable[[int, int], None]


class Bulk:
    """One cancel of many tasks, as its caller sees it."""

    def __init__(self, task_ids: Sequence[str], tell: Progress | None = None) -> None:
        """An id that is given twice counts once."""
        self._ids = tuple(dict.fromkeys(task_ids))
        #: The ids of each command.
        self.parts = [self._ids[at : at + MOST_TASKS] for at in range(0, len(self._ids), MOST_TASKS)]
        self._tell = tell
        self._done = [0] * len(self.parts)
        self._told = -1

    def following(self, part: int) -> Callable[[Collected], None]:
        """Takes the receipts of the command of this part."""

        def follow(receipts: Collected) -> None:
            started = receipts.answers or receipts.progress
            self._done[part] = max(self._done[part], len(self.parts[part]) - receipts.to_do) if started else 0
            done = sum(self._done)
            if self._tell is not None and done > self._told:
                self._told = done
                self._tell(done, len(self._ids))

        return follow

    def result(self, command_ids: Sequence[str], collected: Sequence[Collected]) -> BulkResult:
        """What came of it."""
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
    """What the hosts' answers come to for each task of many; `complete` tells that every host has answered."""
    found: dict[str, TaskVerdict] = {}
    for task in (task for answer in answers for task in answer.tasks):
        known = found.get(task.task_id)
        if known is None or severity(task.verdict) > severity(known.verdict):
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
