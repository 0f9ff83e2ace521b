"""Which tasks workers without an agent have: kept on disk, so that the next watch knows what to look for."""

from pathlib import Path

from signalbox.messages.events import AnyTaskEvent, TaskReceived, TaskStarted
from signalbox_controller.agentless.protocol import OpenTask
from signalbox_controller.state.remembered import Remembered

#: Tasks that are remembered; the oldest go first.
LIMIT = 20_000


class OpenTasks(Remembered[dict[str, OpenTask]]):
    """Those of one application, by id."""

    def __init__(self, path: Path) -> None:
        """Read the file, where there is one.

        Raises:
            StateUnreadable: it is damaged.
        """
        super().__init__(path, dict[str, OpenTask], {}, "which tasks workers without an agent had")
        self._changed = False

    def note(self, event: AnyTaskEvent) -> None:
        """Take in what happened to one."""
        self._changed = True
        self.value.pop(event.task_id, None)
        if isinstance(event, (TaskReceived, TaskStarted)):
            started = isinstance(event, TaskStarted)
            self.value[event.task_id] = OpenTask(
                node=event.worker, name=event.celery_name, retries=event.retries, started=started
            )
            while len(self.value) > LIMIT:
                del self.value[next(iter(self.value))]

    def save(self) -> None:
        """Write it down, if there is anything new; what is lost with a crash is found out by asking the workers."""
        if self._changed:
            self._changed = False
            super().save()
