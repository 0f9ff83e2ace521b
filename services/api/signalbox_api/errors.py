"""Errors of the api as one tree; each has its HTTP status, and its text is the answer to the caller.

SignalboxError
└── ApiError               500
    ├── BadCursor              422  the `after` of a list is not one of ours
    ├── BadMessage             422  what a browser sent by the live connection is of no form that it takes
    ├── Conflict               409  the name is taken, or the caller itself is meant
    ├── CredentialsUnknown     503  neither Redis nor PostgreSQL answers for the credential
    ├── Forbidden              403
    │   ├── ForgedRequest          without the token that proves where it comes from
    │   ├── RoleLacking            the caller's role does not allow it
    │   └── WrongPassword          who is signed in could not prove it again
    ├── Full                   503  too many browsers already
    ├── NotATaskId             422  neither a UUID nor an id that the record knows
    ├── NotFound               404
    ├── NotSignedIn            401
    │   └── NoUserYet              there is nobody who could sign in
    ├── TooBroad               422  a search matches too much, or too little of too much
    ├── TooManySockets         429  one caller has as many live connections as it may
    └── TooManyTries           429  sign-in is throttled
"""

from collections.abc import Mapping
from typing import ClassVar

from signalbox.errors import SignalboxError


class ApiError(SignalboxError):
    """Base of the errors that have an HTTP status of their own."""

    status: ClassVar[int] = 500

    #: Headers that belong to the answer.
    headers: Mapping[str, str] = {}


class BadCursor(ApiError):
    """The `after` of a list is not one of ours."""

    status = 422


class BadMessage(ApiError):
    """What a browser sent by the live connection is of no form that it takes; the connection goes on."""

    status = 422


class Conflict(ApiError):
    """The name is taken, or the caller itself is meant."""

    status = 409


class CredentialsUnknown(ApiError):
    """Neither Redis nor PostgreSQL answers for the credential."""

    status = 503


class Forbidden(ApiError):
    """The caller is known and may not do this."""

    status = 403


class ForgedRequest(Forbidden):
    """A browser's request without the token that proves that it comes from our own page."""


class RoleLacking(Forbidden):
    """The caller's role does not allow it."""


class WrongPassword(Forbidden):
    """The current password, asked for once more, is wrong; the session goes on."""


class Full(ApiError):
    """Too many browsers are connected already."""

    status = 503


class NotATaskId(ApiError):
    """Neither a UUID nor an id that the record knows."""

    status = 422


class NotFound(ApiError):
    """There is no such thing."""

    status = 404


class NotSignedIn(ApiError):
    """No credential, or one that is wrong, expired or revoked."""

    status = 401
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class NoUserYet(NotSignedIn):
    """There is nobody who could sign in; says what makes the first user."""

    def __init__(self) -> None:
        super().__init__("No user yet: run `signalbox setup` where the api runs, which makes the first one")


class TooBroad(ApiError):
    """A search took longer than it may."""

    status = 422


class TooManySockets(ApiError):
    """The caller holds as many live connections as one may."""

    status = 429


class TooManyTries(ApiError):
    """Sign-in was tried too often; try again in `retry_after` seconds."""

    status = 429

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.headers = {"Retry-After": str(retry_after)}
