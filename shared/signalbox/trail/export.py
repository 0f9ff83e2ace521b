"""Export of lines: JSON, an object a line, or CSV that no program takes for formulas; pure."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

from signalbox.trail.line import TrailLine

Format = Literal["csv", "jsonl"]

MEDIA_TYPES: Mapping[Format, str] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}

#: A spreadsheet takes what begins like this for a formula, and an apostrophe before it for "this is text".
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_encoder = msgspec.json.Encoder()


def as_jsonl(lines: Iterable[TrailLine]) -> bytes:
    """One JSON object for each line, each with its end."""
    return b"".join(_encoder.encode(line) + b"\n" for line in lines)


def as_csv(lines: Iterable[TrailLine]) -> bytes:
    """One row for each line (RFC 4180), without headings."""
    return _rows([harmless(value) for value in msgspec.structs.astuple(line)] for line in lines)


def headings() -> bytes:
    """The first row of CSV."""
    return _rows([TrailLine.__struct_fields__])


def harmless(value: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _rows(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


#: How a part is written, and what stands before the first one.
WRITERS: Mapping[Format, tuple[Callable[[Iterable[TrailLine]], bytes], bytes]] = {
    "csv": (as_csv, headings()),
    "jsonl": (as_jsonl, b""),
}
