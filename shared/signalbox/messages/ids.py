"""Ids and names of tasks: Celery takes any text, in any length; here each gets a form that fits everywhere.

`task_key` is the form in which every part of Signalbox names a task: valid UTF-8 without control characters, at most
`LONGEST` bytes. Of nearly all ids it is the id itself; every other has a digest in it, so that no two ids share a key.
`signalbox_agent.tasks.ids` makes the same of what Celery gives.
"""

import re
from base64 import b64decode, urlsafe_b64encode
from hashlib import sha256

#: Bytes of a key and of a name: an entry of an index in PostgreSQL may have 2,704, and one holds both.
LONGEST = 1000
#: Characters that fit in any case, whichever they are.
_FITS = LONGEST // 4
#: Characters of such an id that its key begins with.
_BEGINNING = 100
#: What a line, a log, PostgreSQL (NUL) or UTF-8 (surrogates) cannot take.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

#: Begins an id in an address whose characters a proxy or a browser might change.
_ENCODED = "base64url:"
_PLAIN = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.:@-]+")


def task_key(task_id: str) -> str:
    """The id as we name it: one with control characters, or a long one, is its beginning and the SHA-256 of all of it.

    A key is its own key, so that callers may give either.
    """
    if len(task_id) <= LONGEST and task_id.isascii() and task_id.isprintable():
        return task_id
    data = task_id.encode(errors="surrogatepass")
    text = printable(task_id)
    return task_id if text == task_id and len(data) <= LONGEST else f"{text[:_BEGINNING]}…{sha256(data).hexdigest()}"


def is_task_key(text: str) -> bool:
    """Whether a text may be the key of a task."""
    return bool(text) and task_key(text) == text


def printable(task_id: str) -> str:
    r"""The whole id for people, with control characters as Python writes them: `\x0a`, `\ud800`."""
    return _CONTROL.sub(_escape, task_id)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def short_name(name: str) -> str:
    """The name, or the beginning of one that is too long for an index."""
    if len(name) <= _FITS or len(name.encode()) <= LONGEST:
        return name
    return name[: _FITS - 1] + "…"


def address_part(task_id: str) -> str:
    """An id as a part of an address that every client and proxy leaves as it is: `.`, `/` and `%2F` are not."""
    key = task_key(task_id)
    if _PLAIN.fullmatch(key) and not key.startswith(_ENCODED):
        return key
    return _ENCODED + urlsafe_b64encode(key.encode()).decode().rstrip("=")


def from_address_part(part: str) -> str:
    """The id in a part of an address, in which %-escapes are resolved already."""
    if not part.startswith(_ENCODED):
        return part
    code = part.removeprefix(_ENCODED)
    try:
        return b64decode(code + "=" * (-len(code) % 4), altchars=b"-_", validate=True).decode() or part
    except ValueError:  # none of ours: an id that begins so
        return part
