"""Changes as they are read from the stream, each decoded once, with as much of it as subscriptions look at."""

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property

import msgspec

from signalbox.bus.consumer import Entry

#: Tasks whose state before a change is remembered.
REMEMBERED = 20_000
#: Seconds by which the clocks of the hosts, of Redis and ours may differ.
CLOCKS = 60.0


class TaskState(msgspec.Struct, frozen=True, kw_only=True):
    """What changes of a task, as far as a list can be filtered by it."""

    status: str
    outcome: str | None = None
    host: str | None = None
    queue: str | None = None
    error: str | None = None


class TaskNames(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What stays of a task, as far as a list can be filtered by it."""

    task_id: str
    name: str = ""
    celery_name: str = ""
    full_id: str | None = None
    args: str = ""
    kwargs: str = ""
    created_at: datetime | None = None

    @cached_property
    def text(self) -> str:
        """All of it, in small letters."""
        parts = (self.name, self.celery_name, self.task_id, self.full_id, self.args, self.kwargs)
        return "\n".join(part for part in parts if part).lower()


class _Log(msgspec.Struct):
    task_id: str


class _Shape(msgspec.Struct):
    """As much of a change as every release has."""

    kind: str
    key: str
    row: msgspec.Raw


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change of one row."""

    #: As it came: JSON.
    data: bytes
    #: When Redis took it, in seconds of the epoch.
    at: float
    kind: str
    key: str
    #: Of a task: its names and its state now, where they can be read, and before. None: it may have been anything.
    names: TaskNames | None = None
    state: TaskState | None = None
    before: TaskState | None = None
    #: Of a log: the id of its task, where it can be read.
    task_id: str | None = None


_shape = msgspec.json.Decoder(_Shape).decode
_state = msgspec.json.Decoder(TaskState).decode
_names = msgspec.json.Decoder(TaskNames).decode
_log = msgspec.json.Decoder(_Log).decode


class Unreadable(Exception):
    """Not a change: as it is no JSON it would spoil the frame that it is in."""


def read_change(entry: Entry) -> Change:
    """The change in this entry, without the state before.

    Raises:
        Unreadable: there is none in it.
    """
    try:
        shape = _shape(entry.data.decode())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    names, state, task_id = None, None, None
    try:
        if shape.kind == "task":
            names, state = _names(shape.row), _state(shape.row)
        elif shape.kind == "log":
            task_id = _log(shape.row).task_id
    except msgspec.DecodeError:  # a row of another release, or none: whoever shows any such rows gets it
        pass
    at = int(entry.position.partition(b"-")[0]) / 1000
    return Change(data=entry.data, at=at, kind=shape.kind, key=shape.key, names=names, state=state, task_id=task_id)


class Before:
    """The states of the tasks that changed last, complete since some moment."""

    def __init__(self, since: float) -> None:
        """`since`: in seconds of the epoch."""
        self._since = since
        self._states: dict[str, tuple[float, TaskState | None]] = {}

    def added(self, changes: Iterable[Change]) -> list[Change]:
        """The changes, each with the state of its task before; from now on theirs are remembered."""
        return [self._added(change) if change.kind == "task" else change for change in changes]

    def _added(self, change: Change) -> Change:
        _, before = self._states.pop(change.key, (0.0, None))
        if before is None and self._is_new(change):
            before = change.state
        self._states[change.key] = change.at, change.state
        if len(self._states) > REMEMBERED:
            self._since, _ = self._states.pop(next(iter(self._states)))
        return msgspec.structs.replace(change, before=before)

    def _is_new(self, change: Change) -> bool:
        """Whether no change of this task can have come before."""
        created_at = change.names.created_at if change.names else None
        if created_at is None or created_at.tzinfo is None:  # the latter has no moment, and asking for it can fail
            return False
        return created_at.timestamp() > self._since + CLOCKS
