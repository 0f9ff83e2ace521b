"""Secrets of sessions and tokens: 256 random bits with an id in front, of which only a digest is stored.

The id is no secret. Revoking takes only the id, so that it needs neither the secret nor the database. The prefix lets
scanners recognise a token that was published by mistake.
"""

import hashlib
import re
import secrets
from typing import Literal

import msgspec

Kind = Literal["token", "session"]

_PREFIX: dict[Kind, str] = {"token": "sbt", "session": "sbs"}
_ID_BYTES = 8
_SECRET_BYTES = 32
#: The form of an id.
ID_FORM = re.compile(r"[0-9a-f]{16}")
_FORM = re.compile(r"sb[ts]_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")


class Secret(msgspec.Struct, frozen=True):
    """Secret as a caller sends it."""

    id: str
    digest: str
    text: str

    def __repr__(self) -> str:
        return f"Secret(id={self.id!r})"


def mint(kind: Kind) -> Secret:
    """A new secret; its text is shown once and then forgotten."""
    text = f"{_PREFIX[kind]}_{secrets.token_hex(_ID_BYTES)}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    secret = read_secret(text)
    if secret is None:
        raise AssertionError("what we mint must have the form that we read")
    return secret


def read_secret(text: str) -> Secret | None:
    """The secret in a text, or None when it has another form."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    return Secret(id=match[1], digest=hashlib.sha256(text.encode()).hexdigest(), text=text)
