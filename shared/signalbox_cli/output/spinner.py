"""Spinner on standard error while the server works; only on a terminal."""

import itertools
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_FRAMES = "|/-\\"
#: Seconds between two frames, and before the first: what is quick needs no sign.
_STEP = 0.1
_DELAY = 0.3


class Spinner:
    """Spinner with a text that may change while it is shown."""

    def __init__(self, text: str) -> None:
        self.text = text


@contextmanager
def spinner(text: str) -> Iterator[Spinner]:
    """Show `text` and the seconds that have passed, until the body ends; nothing without a terminal."""
    shown = Spinner(text)
    if not sys.stderr.isatty():
        yield shown
        return
    done = threading.Event()
    thread = threading.Thread(target=_spin, args=(shown, done), daemon=True)
    thread.start()
    try:
        yield shown
    finally:
        done.set()
        thread.join(timeout=1.0)


def _spin(shown: Spinner, done: threading.Event) -> None:
    began = time.monotonic()
    if done.wait(_DELAY):
        return
    for frame in itertools.cycle(_FRAMES):
        sys.stderr.write(f"\r\033[K{frame} {shown.text} {time.monotonic() - began:.0f} s ")
        sys.stderr.flush()
        if done.wait(_STEP):
            break
    sys.stderr.write("\r\033[K")
    sys.stderr.flush()
