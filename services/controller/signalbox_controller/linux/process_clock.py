"""Clock of a process of this host, which may not be ours: a library can shift what one process reads as the time."""

import time

from signalbox.bus.clock import TOLERATED


def ahead_of_us(clock: float | None) -> float:
    """Seconds by which the clock of a process of this host is ahead of ours, 0 where that is tolerated.

    `clock` is what it would have shown when CLOCK_MONOTONIC was 0: all processes of a host share that, so it does not
    matter how long its message was on the way.
    """
    ahead = 0.0 if clock is None else clock - (time.time() - time.monotonic())
    return ahead if abs(ahead) > TOLERATED else 0.0
