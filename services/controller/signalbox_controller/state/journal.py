"""Journal of keys that expire, in memory and in a file that is only appended to: a restart forgets none of them."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from signalbox_controller.state.remembered import replace_file

log = logging.getLogger(__name__)


class Journal:
    """A bounded set of keys, each with the epoch second at which it is forgotten; keys hold no line break.

    What was added survives the death of the controller at once, and that of the machine after `sync`.
    """

    def __init__(self, path: Path, limit: int, clock: Callable[[], float] = time.time) -> None:
        """Beyond `limit` the oldest keys are forgotten first."""
        self._path = path
        self._limit = limit
        self._clock = clock
        self._keys = dict(_lines(path))
        self._appended = 0
        self._handle = self._compact()

    def __contains__(self, key: str) -> bool:
        return self._keys.get(key, 0.0) > self._clock()

    def keys(self) -> list[str]:
        """The keys that have not expired, the oldest first."""
        return list(self.expiries())

    def expiries(self) -> dict[str, int]:
        """The keys that have not expired, each with the epoch second at which it does."""
        now = self._clock()
        return {key: int(until) for key, until in self._keys.items() if until > now}

    def add(self, key: str, seconds: float) -> None:
        """Add a key that expires after so many seconds; of a known key the expiry is replaced."""
        self._put({key: self._clock() + seconds})

    def remember(self, untils: Mapping[str, float]) -> list[str]:
        """Add keys that expire at these seconds of the epoch, unless a later one is known; return the new keys."""
        now = self._clock()
        later = {key: until for key, until in untils.items() if until > max(now, self._keys.get(key, 0.0))}
        new = [key for key in later if key not in self]
        if later:
            self._put(later)
        return new

    def forget(self, voids: Mapping[str, float]) -> list[str]:
        """Forget keys, each unless it expires after that second of the epoch; return those that were known."""
        known = [key for key, until in voids.items() if key in self and self._keys[key] <= until]
        for key in known:
            del self._keys[key]
        if known:
            self._append([f"0 {key}\n" for key in known])
        return known

    def _put(self, untils: Mapping[str, float]) -> None:
        for key, until in untils.items():
            self._keys.pop(key, None)
            self._keys[key] = until
        self._append([f"{until:.0f} {key}\n" for key, until in untils.items()])
        while len(self._keys) > self._limit:
            del self._keys[next(iter(self._keys))]
        if self._appended > 2 * self._limit:
            os.close(self._handle)
            self._handle = self._compact()

    def _append(self, lines: list[str]) -> None:
        try:
            os.write(self._handle, "".join(lines).encode())
        except OSError as error:  # a full disk must keep nobody from cancelling
            log.error("%s cannot be written: %s; a restart may forget it", self._path, error)  # noqa: TRY400
        self._appended += len(lines)

    async def sync(self) -> None:
        """Return when the disk has all keys that were added."""
        handle = os.dup(self._handle)  # ours may be replaced or closed while we wait
        try:
            await asyncio.to_thread(os.fsync, handle)
        except OSError as error:
            log.error("%s cannot be written: %s", self._path, error)  # noqa: TRY400 - the text says it all
        finally:
            os.close(handle)

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def _compact(self) -> int:
        """Write the file anew without expired keys, and open it for appending."""
        now = self._clock()
        live = [(key, until) for key, until in self._keys.items() if until > now][-self._limit :]
        self._keys = dict(live)
        self._appended = 0
        replace_file(self._path, "".join(f"{until:.0f} {key}\n" for key, until in live).encode(), durable=True)
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)


def _lines(path: Path) -> Iterator[tuple[str, float]]:
    """The keys in a file; a line that a power cut has cut off is left out."""
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            until, _, key = line.partition(" ")
            if key and until.isdigit():
                yield key, float(until)
