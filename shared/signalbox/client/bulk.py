"""Many tasks as the commands that cancel them, how far these are, and what they came to: pure."""

from collections.abc import Callable, Sequence

from signalbox.client.conclusion import task_by_task
from signalbox.client.hearing import Hearing
from signalbox.client.results import BulkResult
from signalbox.messages.commands import MOST_TASKS

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

    def following(self, part: int) -> Callable[[Hearing], None]:
        """Takes what is heard of the command of this part."""

        def follow(heard: Hearing) -> None:
            started = heard.answers or heard.progress
            self._done[part] = max(self._done[part], len(self.parts[part]) - heard.to_do) if started else 0
            done = sum(self._done)
            if self._tell is not None and done > self._told:
                self._told = done
                self._tell(done, len(self._ids))

        return follow

    def result(self, command_ids: Sequence[str], hearings: Sequence[Hearing]) -> BulkResult:
        """What came of it."""
        return BulkResult(
            command_ids=tuple(command_ids),
            tasks=tuple(
                verdict
                for part, heard in zip(self.parts, hearings, strict=True)
                for verdict in task_by_task(part, heard.answers.values(), complete=heard.complete)
            ),
            recorded=all(heard.all_recorded for heard in hearings),
            silent=frozenset(host for heard in hearings for host in heard.silent),
        )
