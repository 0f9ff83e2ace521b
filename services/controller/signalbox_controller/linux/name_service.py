"""Look-ups in the name service (nsswitch.conf(5)), in one thread of their own: LDAP or the like may never answer.

A process of its own for each look-up would be killable; it would also be a child to be reaped, which the controller
has enough of. A thread that hangs keeps all later look-ups waiting, and each of them ends with its own deadline.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from signalbox_controller.errors import NameServiceSilent

T = TypeVar("T")

#: Seconds within which a name has to be known.
WITHIN = 5.0
#: Seconds for which an answer counts.
FRESH = 60.0
#: Names that are looked up at the same time; a controller knows few.
WAITING = 100


class NameService(Generic[T]):
    """Looks names up, one after the other."""

    def __init__(self, find: Callable[[str], T | None]) -> None:
        """`find` looks one name up, and may take for ever; None tells that there is no such name."""
        self._find = find
        self._known: dict[str, tuple[T, float]] = {}
        self._asked: dict[str, Future[T | None]] = {}
        self._names: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def known(self, name: str, *, ever: bool = False) -> T | None:
        """What was found lately, or `ever`."""
        found, at = self._known.get(name, (None, 0.0))
        return found if ever or time.monotonic() < at + FRESH else None

    def wait_for(self, name: str, within: float = WITHIN) -> T | None:
        """Look it up, unless it was found lately; not on an event loop.

        Raises:
            NameServiceSilent: there was no answer within so many seconds.
        """
        if (found := self.known(name)) is not None:
            return found
        try:
            return self._ask(name).result(within)
        except TimeoutError:
            raise NameServiceSilent(_silent(name, within)) from None

    async def look_up(self, name: str, within: float = WITHIN) -> T | None:
        """The same, on an event loop.

        Raises:
            NameServiceSilent: there was no answer within so many seconds.
        """
        if (found := self.known(name)) is not None:
            return found
        try:
            async with asyncio.timeout(within):
                return await asyncio.shield(asyncio.wrap_future(self._ask(name)))
        except TimeoutError:
            raise NameServiceSilent(_silent(name, within)) from None

    def _ask(self, name: str) -> Future[T | None]:
        """The answer of the thread; a name that is being looked up is not looked up once more."""
        with self._lock:
            if (asked := self._asked.get(name)) is not None:
                return asked
            if len(self._asked) >= WAITING:
                raise NameServiceSilent(_silent(name, WITHIN))
            asked = self._asked[name] = Future()
            self._names.put(name)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="name service", daemon=True)
                self._thread.start()
            return asked

    def _run(self) -> None:
        while True:
            name = self._names.get()
            try:
                found, failed = self._find(name), None
            except Exception as error:  # noqa: BLE001 - whoever waits is to have it
                found, failed = None, error
            with self._lock:
                asked = self._asked.pop(name)
                if found is not None:
                    self._known[name] = found, time.monotonic()
            if failed is None:
                asked.set_result(found)
            else:
                asked.set_exception(failed)


def _silent(name: str, within: float) -> str:
    return (
        f"the name service of this machine has not said within {within:g} s who {name!r} is;"
        " look at what /etc/nsswitch.conf names for `passwd` and `group` (LDAP, SSSD, …)"
    )
