"""Views of the rows that a transaction changed, published once it is committed."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from signalbox.messages.views import Change, CommandView, HostView, LogView, ProcessView, TaskView, View
from signalbox.postgres.pool import Row
from signalbox_reconciler.store.columns import names

Kind = Literal["task", "log", "process", "host", "command"]

_VIEWS: Mapping[Kind, type[View]] = {
    "task": TaskView,
    "log": LogView,
    "process": ProcessView,
    "host": HostView,
    "command": CommandView,
}


def columns(kind: Kind, prefix: str = "") -> str:
    """The columns of a view, for RETURNING or SELECT."""
    return names(_VIEWS[kind].__struct_fields__, prefix)


class ChangedViews:
    """The last state of each row that changed."""

    def __init__(self) -> None:
        self._views: dict[tuple[Kind, str], View] = {}

    def add(self, kind: Kind, rows: Iterable[Row]) -> None:
        """Add the view of each row, which may have more columns; later calls win."""
        view = _VIEWS[kind]
        fields = view.__struct_fields__
        for row in rows:
            self._views[kind, _key(kind, row)] = view(**{field: row[field] for field in fields})

    def changes(self) -> list[Change]:
        """The changes to publish."""
        return [Change.of(kind, key, view) for (kind, key), view in self._views.items()]


def _key(kind: Kind, row: Mapping[str, Any]) -> str:
    match kind:
        case "task":
            return str(row["task_id"])
        case "log":
            return str(row["log_id"])
        case "process":
            return f"{row['host']}/{row['name']}"
        case "host":
            return str(row["name"])
        case "command":
            return str(row["command_id"])
