"""Cursor of a list: an opaque text that names the last row of a page."""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from signalbox_api.errors import BadCursor

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Cursor(NamedTuple):
    """Cursor: the row after which the next page begins, newest first."""

    at: datetime
    key: str

    def __str__(self) -> str:
        micros = (self.at - _EPOCH) // _MICROSECOND
        return base64.urlsafe_b64encode(f"{micros}.{self.key}".encode()).decode().rstrip("=")


def read_cursor(text: str) -> Cursor:
    """The cursor in a text.

    Raises:
        BadCursor: it is not one of ours.
    """
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
        micros, key = decoded.split(".", maxsplit=1)
        place = Cursor(_EPOCH + int(micros) * _MICROSECOND, key)
    except (ValueError, OverflowError, binascii.Error) as error:
        raise _bad(text) from error
    if "\x00" in key:  # PostgreSQL takes no text with a zero in it
        raise _bad(text)
    return place


def _bad(text: str) -> BadCursor:
    return BadCursor(
        f"{text[:80]!r} is not a place in this list; leave `after` away, or take it from `next` of the page before"
    )
