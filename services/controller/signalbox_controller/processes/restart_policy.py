"""The restart policy: whether and when a process that exited is launched again. Pure but for the jitter."""

from collections.abc import Callable
from random import uniform

import msgspec

from signalbox_controller.config.specs import RestartPolicy
from signalbox_controller.processes.machine import Input


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """The pauses between launches; durations are in seconds."""

    #: The first pause; each further one is twice as long.
    first: float = 0.5
    most: float = 60.0
    #: The longest pause while it waits for something outside, which may come back at any time.
    outside: float = 10.0
    #: A process that ran for so long has recovered, and its failures are forgotten.
    quiet: float = 60.0


class Failures:
    """The failures in a row of one process."""

    def __init__(self, backoff: Backoff, limit: int, jitter: Callable[[float, float], float] = uniform) -> None:
        """After `limit` failures in a row it is given up: with the usual pauses and eight, after a minute."""
        self._backoff = backoff
        self._limit = limit
        self._jitter = jitter
        self._most = backoff.most
        self._tries = 0
        self.count = 0

    def forget(self) -> None:
        """Begin again: a person started it, or it recovered."""
        self.count = self._tries = 0

    def add(self, ran: float) -> bool:
        """Note a failure after `ran` seconds of running; answer whether it is worth another try."""
        self._try_again(ran, self._backoff.most)
        self.count += 1
        return self.count < self._limit

    def wait(self, ran: float) -> None:
        """Note that it could not begin for a reason outside: worth a try for as long as it takes."""
        self._try_again(ran, self._backoff.outside)

    def _try_again(self, ran: float, most: float) -> None:
        if ran >= self._backoff.quiet:
            self.forget()
        self._tries += 1
        self._most = most

    def pause(self) -> float:
        """Seconds to wait before the next try, between half and the whole of the present step."""
        step = min(self._backoff.first * 2 ** min(max(self._tries, 1) - 1, 16), self._most)
        return self._jitter(step / 2, step)


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """What is known when a process is gone."""

    #: Whether it is wanted.
    wanted: bool
    #: Whether a stop was asked for of this instance.
    asked: bool
    #: None when it cannot be had: the process was adopted.
    code: int | None
    #: Seconds that it consumed; 0.0 when it never did.
    ran: float = 0.0
    #: Whether what kept it from running lies outside of it.
    outside: bool = False


def judge(exit_: Exit, policy: RestartPolicy, failures: Failures) -> Input:
    """The exit of the machine that this one is; counts it as a failure where it is one."""
    if not exit_.wanted:
        return Input.EXITED
    if exit_.asked:
        return Input.EXITED_TO_RESTART
    if policy == "never" or (policy == "on-failure" and exit_.code == 0 and not exit_.outside):
        return Input.EXITED_FOR_GOOD
    if exit_.outside:
        failures.wait(exit_.ran)
        return Input.EXITED_TO_WAIT
    return Input.EXITED_TO_RETRY if failures.add(exit_.ran) else Input.EXITED_TOO_OFTEN
