"""A sign of life while the server works; on standard error, and only where a person watches."""

import itertools
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_FRAMES = "|/-\\"
#: Seconds between two frames, and before the first: what is quick needs no sign.
_STEP = 0.1
_PATIENCE = 0.3


class Sign:
    """What is shown; may be changed while it is."""

    def __init__(self, what: str) -> None:
        self.what = what


@contextmanager
def waiting(what: str) -> Iterator[Sign]:
    """Show `what` and the seconds that have passed, until the body ends; nothing without a terminal."""
    sign = Sign(what)
    if not sys.stderr.isatty():
        yield sign
        return
    done = threading.Event()
    thread = threading.Thread(target=_turn, args=(sign, done), daemon=True)
    thread.start()
    try:
        yield sign
    finally:
        done.set()
        thread.join(timeout=1.0)


def _turn(sign: Sign, done: threading.Event) -> None:
    began = time.monotonic()
    if done.wait(_PATIENCE):
        return
    for frame in itertools.cycle(_FRAMES):
        sys.stderr.write(f"\r\033[K{frame} {sign.what} {time.monotonic() - began:.0f} s ")
        sys.stderr.flush()
        if done.wait(_STEP):
            break
    sys.stderr.write("\r\033[K")
    sys.stderr.flush()
