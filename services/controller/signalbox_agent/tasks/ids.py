"""Ids of tasks as everything of ours names them; Celery's own parts always get the id as it is.

The same as `signalbox.messages.ids`, which a worker cannot import; a test compares the two.
"""

from __future__ import annotations

import re
from hashlib import sha256

#: Bytes of a key.
LONGEST = 1000
#: Characters that the key of such an id begins with.
_BEGINNING = 100
#: Characters of a whole id that are kept, for people; its digest is that of all of it.
LONGEST_WHOLE = 10_000
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def key_of(task_id: object) -> str:
    """The key of an id: one with control characters, or a long one, is its beginning and the SHA-256 of all of it."""
    text = task_id if isinstance(task_id, str) else str(task_id or "")
    if len(text) <= LONGEST and text.isascii() and text.isprintable():
        return text
    data = text.encode(errors="surrogatepass")
    shown = printable(text)
    return text if shown == text and len(data) <= LONGEST else f"{shown[:_BEGINNING]}…{sha256(data).hexdigest()}"


def whole(task_id: object) -> str:
    """The whole id, where that is not its key; else empty."""
    text = task_id if isinstance(task_id, str) else str(task_id or "")
    return "" if key_of(text) == text else printable(text)[:LONGEST_WHOLE]


def printable(task_id: str) -> str:
    r"""The whole id for people, with control characters as Python writes them: `\x0a`, `\ud800`."""
    return _CONTROL.sub(_escape, task_id)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
