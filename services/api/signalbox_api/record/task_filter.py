"""Filter of tasks, and the SQL that it amounts to; pure.

The record has two halves, open and finished tasks, in partitions that their `period` tells apart; each partition has an
index for every filter in the order of the lists. A list that wants both halves takes the newest of each: no index is
read further than the list is long.
"""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from signalbox.messages import periods
from signalbox.messages.base import Outcome, Status
from signalbox.messages.ids import short_name
from signalbox_api.record.cursor import Cursor

OPEN = f"period IN ({periods.OPEN}, {periods.BEFORE}) AND finished_at IS NULL"
FINISHED = f"period <> {periods.OPEN} AND finished_at IS NOT NULL"
#: Always true, and the condition of the index on all finished tasks of a partition: without it another one is taken.
ANY_FINISHED = "attempt > 0"
ORDER = "ORDER BY created_at DESC, task_id DESC"

#: As in the indexes on texts of any length.
INDEXED = 250

COMPLETED = ("succeeded", "ignored")
#: The statuses of finished tasks, as the indexes know them: an index on the status itself would change at each start.
_BY_OUTCOME = {
    "completed": f"outcome IN ('succeeded', 'ignored') AND period >= {periods.BEFORE}",
    "failed": f"outcome NOT IN ('succeeded', 'ignored') AND period <= {periods.BEFORE}",
}


class TaskFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Filter of tasks; None means any."""

    status: Status | None = None
    #: A part of the name, of the error or of the arguments, whatever the case, or the beginning of the id.
    q: str | None = None
    name: str | None = None
    host: str | None = None
    queue: str | None = None
    outcome: Outcome | None = None
    #: Created longer ago than so many seconds.
    older_than: float | None = None
    #: Only those that wait or run.
    unfinished: bool = False
    #: Only these.
    task_ids: tuple[str, ...] = ()


def is_search(filters: TaskFilter) -> bool:
    """Whether finding what matches can take long: for a text, or for what matches several filters at once."""
    together = (filters.status, filters.name, filters.host, filters.queue, filters.outcome)
    return filters.q is not None or sum(one is not None for one in together) > 1


class Where:
    """Conditions with their arguments."""

    def __init__(self) -> None:
        self.conditions: list[str] = []
        self.arguments: list[object] = []

    def argument(self, value: object) -> str:
        """The place of one more argument."""
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def add(self, condition: str, *values: object) -> None:
        """Add a condition, in which each `{}` stands for the place of a value."""
        self.conditions.append(condition.format(*map(self.argument, values)))

    def sql(self, *more: str) -> str:
        """The conditions, and more of them, as a clause."""
        every = [*self.conditions, *more]
        return f"WHERE {' AND '.join(every)}" if every else ""


def halves(filters: TaskFilter) -> Sequence[str]:
    """The halves of the record that can hold what matches."""
    if filters.unfinished or filters.status in {"pending", "running"}:
        return (OPEN,)
    if filters.outcome or filters.status:
        return (FINISHED,)
    return (OPEN, FINISHED)


def parts_of_list(filters: TaskFilter, after: Cursor | None) -> tuple[Where, Sequence[str]]:
    """The conditions of a list after a place, and the parts to read: they exclude each other, and each has an index."""
    found = where(msgspec.structs.replace(filters, name=None), after)
    if not (filters.name or filters.host or filters.queue) and filters.outcome in {None, "succeeded"}:
        found.add(ANY_FINISHED)
    if not filters.name:
        return found, halves(filters)
    names = _named(found, filters.name)
    return found, [f"{half} AND {named}" for half in halves(filters) for named in names]


def where(filters: TaskFilter, after: Cursor | None = None) -> Where:
    """The conditions of a filter, without its search, after a place in the list."""
    found = Where()
    _add_status(found, filters)
    if filters.outcome:
        _add_outcome(found, filters.outcome)
    if filters.name:
        found.conditions.append(f"({' OR '.join(_named(found, filters.name))})")
    if filters.host:
        found.add("host = {}", filters.host)
    if filters.queue:
        add_long_text(found, "queue", filters.queue)
    if filters.task_ids:
        found.add("task_id = ANY({}::text[])", list(filters.task_ids))
    if filters.older_than is not None:
        found.add("created_at < now() - {}::interval", timedelta(seconds=filters.older_than))
    if after:
        found.add("(created_at, task_id) < ({}, {})", *after)
    return found


def add_long_text(found: Where, column: str, value: str) -> None:
    """Add that a text of any length is this one, by the index on its beginning."""
    found.add(f"left({column}, {INDEXED}) = {{}}", value[:INDEXED])
    if len(value) >= INDEXED:
        found.add(f"{column} = {{}}", value)


def newest_first(select: str, conditions: Where, parts: Sequence[str], limit: int) -> str:
    """The newest rows of each part, and of these the newest: `parts` are conditions that exclude each other."""
    place = conditions.argument(limit)
    queries = [f"({select} {conditions.sql(part)} {ORDER} LIMIT {place})" for part in parts]
    return queries[0] if len(queries) == 1 else f"{' UNION ALL '.join(queries)} {ORDER} LIMIT {place}"


def _named(found: Where, name: str) -> Sequence[str]:
    """What people call a task, or Celery's full name of it, as conditions that exclude each other."""
    called = f"name = {found.argument(short_name(name))}"
    if "." not in name:  # the last part of a full name is what people call it, unless it has a name of its own
        return (called,)
    full = Where()
    full.arguments = found.arguments
    add_long_text(full, "celery_name", name)
    return called, f"{' AND '.join(full.conditions)} AND NOT {called}"


def _add_status(found: Where, filters: TaskFilter) -> None:
    if filters.status in _BY_OUTCOME:
        found.add(_BY_OUTCOME[filters.status])
        if filters.outcome and (filters.outcome in COMPLETED) != (filters.status == "completed"):
            found.add("false")
    elif filters.status:
        found.add("status = {}", filters.status)


def _add_outcome(found: Where, outcome: Outcome) -> None:
    found.add("outcome = {}", outcome)
    found.add(_BY_OUTCOME["completed"] if outcome in COMPLETED else _BY_OUTCOME["failed"])
    if outcome != "succeeded":
        found.add("outcome <> 'succeeded'")
