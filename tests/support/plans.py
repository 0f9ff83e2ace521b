"""Plans of queries: what PostgreSQL does for each query that passes through a connection."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from signalbox.postgres.pool import Connection, Row

#: The tables that grow.
BIG = frozenset({"tasks", "task_logs", "commands", "cancels"})
#: Rows that a query may read in vain.
MOST_DROPPED = 1_000

Node = Mapping[str, Any]


class Explained:
    """A connection that runs each query, and EXPLAIN ANALYZE of it before, with the plan that its options ask for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        #: Each query with its plan.
        self.plans: list[tuple[str, Node]] = []

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:
        """Not explained: the api reads."""
        return await self._connection.execute(query, *args, timeout=timeout)

    async def fetch(self, query: str, *args: object, timeout: float | None = None) -> list[Row]:
        """All rows."""
        await self._explain(query, args)
        return await self._connection.fetch(query, *args, timeout=timeout)

    async def fetchrow(self, query: str, *args: object, timeout: float | None = None) -> Row | None:
        """The first row, or none."""
        await self._explain(query, args)
        return await self._connection.fetchrow(query, *args, timeout=timeout)

    async def fetchval(self, query: str, *args: object, timeout: float | None = None) -> Any:
        """The first column of the first row, or none."""
        await self._explain(query, args)
        return await self._connection.fetchval(query, *args, timeout=timeout)

    async def _explain(self, query: str, args: Sequence[object]) -> None:
        await self._connection.execute(f"PREPARE explained AS {query}")
        values = f"({', '.join(map(_literal, args))})" if args else ""
        plan = await self._connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE explained {values}")
        await self._connection.execute("DEALLOCATE explained")
        self.plans.append((query, json.loads(plan)[0]["Plan"]))


def _literal(value: object) -> str:
    """A value in SQL."""
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(_literal, value))}]::text[]"
    if isinstance(value, datetime | timedelta):
        return f"'{value}'"
    return str(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"


def complaints(plan: Node) -> Iterator[str]:
    """What a plan does that takes longer the more the record holds."""
    table, kind = plan.get("Relation Name", ""), plan["Node Type"]
    if table in BIG and kind == "Seq Scan":
        yield f"reads all of {table}"
    dropped = sum(plan.get(f"Rows Removed by {what}", 0) for what in ("Filter", "Index Recheck", "Join Filter"))
    if (dropped := round(dropped * plan["Actual Loops"])) > MOST_DROPPED:
        yield f"{kind} of {plan.get('Index Name', table)} drops {dropped:,} rows"
    for part in plan.get("Plans", ()):
        yield from complaints(part)
