"""Passwords: argon2id with the parameters of RFC 9106's second recommendation, beside the event loop."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from signalbox_api.errors import TooManyTries

#: Each check takes 64 MiB and about 50 ms of a core; more at once would starve the cancels.
AT_ONCE = 2
#: Checks that may wait.
WAITING = 16
#: Characters: a shorter password can be guessed, a longer one only costs our processor.
SHORTEST, LONGEST = 8, 1024


class Passwords:
    """Hashes and checks passwords, a few at a time."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._busy = 0
        self._nobody: str | None = None

    async def prepare(self) -> None:
        """Make the hash that stands in for users who do not exist, so that the first such try is not slower."""
        self._nobody = await self.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """The hash that is stored of a password."""
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether a password is right; takes as long for a user who does not exist (`stored` is None).

        Raises:
            TooManyTries: too many checks are waiting already.
        """
        if self._busy >= AT_ONCE + WAITING:
            raise TooManyTries("Too many people are signing in at this moment; try again in a few seconds", 5)
        if self._nobody is None:
            await self.prepare()
        self._busy += 1
        try:
            async with self._turns:
                right = await asyncio.to_thread(self._verify, stored or self._nobody or "", password)
        finally:
            self._busy -= 1
        return right and stored is not None

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False
