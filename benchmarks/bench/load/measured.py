"""What a load says about itself: when it began and ended, and its CPU time."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def print_measured() -> Iterator[None]:
    """Print a JSON object about the body on standard output: `began` and `ended` (epoch) and `cpu`, in seconds."""
    began, used = time.time(), _cpu()
    yield
    print(json.dumps({"began": began, "ended": time.time(), "cpu": _cpu() - used}), flush=True)


def _cpu() -> float:
    times = os.times()
    return times.user + times.system
