"""Open tasks of agentless workers, on disk: the next watch looks for their ends."""

from signalbox.messages.events import AnyTaskEvent, TaskReceived, TaskStarted
from signalbox_controller.agentless.protocol import OpenTask
from signalbox_controller.state.remembered import RememberedTable

#: Tasks that are kept; beyond it the oldest is dropped.
LIMIT = 20_000


class OpenTasks(RememberedTable[OpenTask]):
    """The open tasks of one application, by id."""

    shape = dict[str, OpenTask]
    meaning = "which tasks workers without an agent had"
    _changed = False

    def apply(self, event: AnyTaskEvent) -> None:
        """Apply an event: a task opens, changes or ends."""
        self._changed = True
        self.value.pop(event.task_id, None)
        if isinstance(event, (TaskReceived, TaskStarted)):
            started = isinstance(event, TaskStarted)
            self.value[event.task_id] = OpenTask(
                node=event.worker, name=event.celery_name, retries=event.retries, started=started, id=event.full_id
            )
            while len(self.value) > LIMIT:
                del self.value[next(iter(self.value))]

    def save(self) -> None:
        """Write changes to disk; after a crash the watch asks the workers for what is missing."""
        if self._changed:
            self._changed = False
            super().save()
