"""Views of the rows that a transaction changed, published once it is committed."""

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple

from signalbox.messages.views import Change, CommandView, HostView, LogView, ProcessView, TaskView, View
from signalbox.postgres.pool import Connection, Row
from signalbox_reconciler.store.columns import names

Kind = Literal["task", "log", "process", "host", "command"]


class _Table(NamedTuple):
    """A table whose rows are published."""

    name: str
    view: type[View]
    #: The columns of the key under which a row is published.
    key: tuple[str, ...]


_TABLES: Mapping[Kind, _Table] = {
    "task": _Table("tasks", TaskView, ("task_id",)),
    "log": _Table("task_logs", LogView, ("log_id",)),
    "process": _Table("processes", ProcessView, ("host", "name")),
    "host": _Table("hosts", HostView, ("name",)),
    "command": _Table("commands", CommandView, ("command_id",)),
}


def columns(kind: Kind, prefix: str = "") -> str:
    """The columns of a view, for RETURNING or SELECT."""
    return names(_TABLES[kind].view.__struct_fields__, prefix)


class ChangedViews:
    """The last state of each row that changed."""

    def __init__(self) -> None:
        self._views: dict[tuple[Kind, str], View | None] = {}
        #: Ids of finished tasks that the transaction has among the open ones; see `partitions.placing`.
        self.fetched: set[str] = set()

    def add(self, kind: Kind, rows: Iterable[Row]) -> None:
        """Add the view of each row, which may have more columns; later calls win."""
        view = _TABLES[kind].view
        fields = view.__struct_fields__
        for row in rows:
            self._views[kind, _key(kind, row)] = view(**{f: row[f] for f in fields})

    def remove(self, kind: Kind, rows: Iterable[Row]) -> None:
        """Note that rows were deleted; each has the columns of the key."""
        self._views |= {(kind, _key(kind, row)): None for row in rows}

    def to_settle(self) -> set[str]:
        """The ids of the tasks that changed and are finished, and of those that were fetched."""
        return self.fetched | {
            view.task_id for view in self._views.values() if isinstance(view, TaskView) and view.finished_at
        }

    async def add_current(self, connection: Connection, kind: Kind, keys: Collection[str]) -> None:
        """Add rows as they are, by the first column of their key."""
        table = _TABLES[kind]
        query = f"SELECT {columns(kind)} FROM {table.name} WHERE {table.key[0]} = ANY($1::text[])"  # noqa: S608 - ours
        self.add(kind, await connection.fetch(query, list(keys)))

    def changes(self) -> list[Change]:
        """The changes to publish."""
        return [Change.of(kind, key, view) for (kind, key), view in self._views.items()]


def _key(kind: Kind, row: Row) -> str:
    return "/".join(str(row[column]) for column in _TABLES[kind].key)
