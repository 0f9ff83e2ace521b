"""Columns of rows as arrays that PostgreSQL unfolds: one statement and one round trip for any number of rows."""

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

#: The names of columns and their types, in the order of the arrays.
Columns = Mapping[str, str]

#: The columns that tasks and their logs share: those of `fold.rows.Fact`.
FACT: Columns = {
    "phase": "smallint",
    "confirmed": "boolean",
    "precedence": "bigint",
    "status": "text",
    "outcome": "text",
    "error": "text",
    "retries": "integer",
    "host": "text",
    "worker": "text",
    "finished_at": "timestamptz",
    "proof": "text",
    "left_processes": "integer",
}


def unnest(columns: Columns, first: int = 1) -> str:
    """The table function that unfolds the arrays, which are the parameters from the `first` one on."""
    return f"unnest({', '.join(f'${place}::{kind}[]' for place, kind in enumerate(columns.values(), first))})"


def arrays(columns: Columns, rows: Iterable[object]) -> Sequence[Sequence[object]]:
    """One array for each column, of which there are several; `rows` have attributes of those names."""
    return list(zip(*map(attrgetter(*columns), rows), strict=True)) or [()] * len(columns)


def names(columns: Iterable[str], prefix: str = "") -> str:
    """The columns as a list in SQL."""
    return ", ".join(prefix + name for name in columns)


def assignments(columns: Iterable[str], value: str) -> str:
    """Assign to each column an expression, in which `{}` stands for its name."""
    return ",\n    ".join(f"{name} = {value.replace('{}', name)}" for name in columns)
