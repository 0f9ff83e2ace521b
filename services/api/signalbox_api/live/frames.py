"""Frames of the live websocket: JSON texts, each with the position that it leads to.

`hello` is the first, and comes again when changes may have been missed: with `resync` the page loads its lists anew.
`subscribed` is the same after the browser has asked for other changes, and `error` says that it asked in vain.
`changes` carries rows that changed. `beat` comes every two seconds, so that silence means a lost connection; one that
counts changes which were left out names no position, as the browser has not reached any.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from signalbox.lines import encode
from signalbox.messages.base import utc_now
from signalbox_api.record.vouching import Behind, Vouch


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="hello"):
    """The first frame, and any that tells the page to load its lists again."""

    position: str
    server_time: datetime
    resync: bool


class Subscribed(Hello, frozen=True, kw_only=True, tag_field="type", tag="subscribed"):
    """What the browser asked for last holds from this position on."""


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """A message of the browser that was of no use; everything goes on as before."""

    message: str


class PageBehind(msgspec.Struct, frozen=True, kw_only=True):
    """The page itself as a part that is behind."""

    since: datetime
    message: str
    part: str = "page"


class Beat(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="beat"):
    """Heartbeat of the connection."""

    #: Null while changes are left out.
    position: str | None
    server_time: datetime
    #: Seconds since the last change of the record; every host causes one every few seconds. None: none yet.
    record_age: float | None
    #: Whether changes can arrive: not while Redis is away.
    bus: bool
    #: Every event until then is in the record; null: nobody has ever said so.
    as_of: datetime | None
    #: The parts that are behind or away. While there are any, nobody vouches for what the page shows.
    behind: tuple[Behind | PageBehind, ...]
    #: Changes that were left out as the browser cannot keep up; it is told to load its lists when it can.
    left_out: int = 0


def hello(position: str, *, resync: bool) -> str:
    """The frame `hello`."""
    return encode(Hello(position=position, server_time=utc_now(), resync=resync)).decode()


def subscribed(position: str, *, resync: bool) -> str:
    """The frame `subscribed`."""
    return encode(Subscribed(position=position, server_time=utc_now(), resync=resync)).decode()


def refused(message: str) -> str:
    """The frame `error`."""
    return encode(Refused(message=message)).decode()


def counting(left_out: int, since: datetime, *, bus: bool) -> str:
    """The frame `beat` for a browser that cannot keep up, and shows what was true at `since`."""
    changes = f"{left_out:,} change is" if left_out == 1 else f"{left_out:,} changes are"
    behind = PageBehind(since=since, message=f"This page cannot keep up: {changes} not shown")
    return encode(
        Beat(
            position=None,
            server_time=utc_now(),
            record_age=None,
            bus=bus,
            as_of=since,
            behind=(behind,),
            left_out=left_out,
        )
    ).decode()


def beat(position: str, record_age: float | None, vouch: Vouch, *, bus: bool) -> str:
    """The frame `beat`."""
    age = None if record_age is None else round(record_age, 3)
    frame = Beat(
        position=position, server_time=utc_now(), record_age=age, bus=bus, as_of=vouch.as_of, behind=vouch.behind
    )
    return encode(frame).decode()


def changes(position: str, rows: Iterable[bytes]) -> str:
    """The frame `changes`; the rows are JSON already and pass through unread."""
    return f'{{"type":"changes","position":"{position}","changes":[{b",".join(rows).decode()}]}}'
