"""Keys of runs and of deliveries, taken apart; pure. Numbers are compared as numbers, however long they are.

A run that a child began has four parts: retries, start in milliseconds, instance, pid. A delivery that waits has
retries, receipt in milliseconds, instance and `w` or `r` with a number; `r` if its broker marked it as redelivered. A
fifth part names the message, where its broker does. Older agents send nothing but the retries of a delivery.
The functions of migration 0011 do the same.
"""

from functools import lru_cache

import msgspec

#: Digits beyond which a part is no number.
DIGITS = 99
#: Number of parts in the key of a run that a child began.
PARTS = 4


class RunKey(msgspec.Struct, frozen=True):
    """A key, taken apart."""

    retries: int
    #: Milliseconds since the epoch; 0 where it is not known.
    since: int
    #: Whether a child began it.
    started: bool
    #: Of a delivery: whether it can be told apart from every other one, and whether it was redelivered.
    identified: bool
    redelivered: bool
    message: str

    @property
    def order(self) -> tuple[int, int]:
        """Of two keys the greater one is the later."""
        return self.retries, self.since


@lru_cache(maxsize=4096)
def parse(key: str) -> RunKey:
    """Take a key apart; any text will do."""
    parts = key.split(".")
    last = parts[3] if len(parts) >= PARTS else ""
    identified = last[:1] in {"w", "r"} and _is_number(last[1:])
    return RunKey(
        retries=_number(parts[0]),
        since=_number(parts[1]) if len(parts) > 1 else 0,
        started=len(parts) == PARTS and all(map(_is_number, (parts[0], parts[1], last))),
        identified=identified,
        redelivered=identified and last[0] == "r",
        message=parts[PARTS] if identified and len(parts) > PARTS else "",
    )


def padded(key: str) -> str:
    """The order of a key as a text of fixed length: the column of retries has 10 digits, the last year 16."""
    retries, since = parse(key).order
    return f"{min(retries, 10**10 - 1):010d}{min(since, 10**16 - 1):016d}"


def _is_number(part: str) -> bool:
    return part.isascii() and part.isdecimal() and len(part) <= DIGITS


def _number(part: str) -> int:
    return int(part) if _is_number(part) else 0
