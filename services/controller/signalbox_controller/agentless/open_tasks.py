"""Which tasks workers without an agent have: kept on disk, so that the next watch knows what to look for."""

import logging
from pathlib import Path

from signalbox.messages.events import AnyTaskEvent, TaskReceived, TaskStarted
from signalbox_controller.agentless.protocol import OpenTask
from signalbox_controller.state import statefile

log = logging.getLogger(__name__)

#: Tasks that are remembered; the oldest go first.
LIMIT = 20_000


class OpenTasks:
    """Those of one application, by id."""

    def __init__(self, path: Path) -> None:
        """Read the file, where there is one.

        Raises:
            StateUnreadable: it is damaged.
        """
        self._path = path
        self._changed = False
        self.tasks = statefile.read(path, dict[str, OpenTask], {}, "which tasks workers without an agent had")

    def note(self, event: AnyTaskEvent) -> None:
        """Take in what happened to one."""
        self._changed = True
        self.tasks.pop(event.task_id, None)
        if isinstance(event, (TaskReceived, TaskStarted)):
            started = isinstance(event, TaskStarted)
            self.tasks[event.task_id] = OpenTask(
                node=event.worker, name=event.celery_name, retries=event.retries, started=started
            )
            while len(self.tasks) > LIMIT:
                del self.tasks[next(iter(self.tasks))]

    def save(self) -> None:
        """Write it down, if there is anything new; what is lost with a crash is found out by asking the workers."""
        if not self._changed:
            return
        self._changed = False
        try:
            statefile.write(self._path, self.tasks, durable=False)
        except OSError as error:
            log.error("%s cannot be written: %s", self._path, error)  # noqa: TRY400 - the text says it all
