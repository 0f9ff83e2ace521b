"""Passwords: argon2id with the parameters of RFC 9106's second recommendation, beside the event loop."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from signalbox_api.errors import TooManyTries

P = ParamSpec("P")
T = TypeVar("T")

#: Checks that may wait for each of the two turns.
WAITING = 16
#: Characters of a new password: a shorter one can be guessed, a longer one only costs our processor.
SHORTEST, LONGEST = 12, 1024


class Passwords:
    """Hashes and checks passwords, two at a time: each takes 64 MiB and about 50 ms of a core.

    One turn is for people who have signed in from where they are before, and for admins; the other for all others, who
    can keep nobody waiting but each other.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._known, self._strangers = _Turn(), _Turn()
        self._nobody: str | None = None

    async def prepare(self) -> None:
        """Make the hash that stands in for users who do not exist, so that the first such try is not slower."""
        self._nobody = await self.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """The hash that is stored of a password."""
        return await self._known.take(self._hasher.hash, password)

    async def matches(self, stored: str | None, password: str, *, known: bool = False) -> bool:
        """Whether a password is right; takes as long for a user who does not exist (`stored` is None).

        Raises:
            TooManyTries: too many checks are waiting already.
        """
        if self._nobody is None:
            await self.prepare()
        turn = self._known if known else self._strangers
        if turn.waiting > WAITING:
            raise TooManyTries("Too many people are signing in at this moment; try again in a few seconds", 5)
        right = await turn.take(self._verify, stored or self._nobody or "", password)
        return right and stored is not None

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False


class _Turn:
    """Work that is done one after the other, in threads."""

    def __init__(self) -> None:
        self._free = asyncio.Lock()
        #: Those that wait or are at work.
        self.waiting = 0

    async def take(self, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Do this when it is its turn."""
        self.waiting += 1
        try:
            async with self._free:
                return await asyncio.to_thread(work, *args, **options)
        finally:
            self.waiting -= 1
