"""Effort of a given duration: real computing, in slices short enough to be interrupted."""

import hashlib
import time
from collections.abc import Iterator

#: Seconds of one slice, and the share of it that computes: several long tasks must fit on a laptop.
SLICE = 0.1
SHARE = 0.2


def slices(seconds: float) -> Iterator[str]:
    """Hash for so many seconds; yields the digest so far after each slice."""
    digest = b"shop"
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        busy_until = time.monotonic() + min(SLICE * SHARE, left)
        while time.monotonic() < busy_until:
            digest = hashlib.sha256(digest).digest()
        time.sleep(max(0.0, min(SLICE * (1 - SHARE), end - time.monotonic())))
        yield digest.hex()
