"""How things are said to people: who did it, how a process ended, why a task failed with it."""

import signal

import msgspec

from signalbox.local.protocol import ISSUER


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Who told a process to stop, and why."""

    by: str
    reason: str = ""

    @property
    def words(self) -> str:
        """`alice: maintenance`, or only `alice`."""
        return f"{person(self.by)}: {self.reason}" if self.reason else person(self.by)


def person(issued_by: str) -> str:
    """`user:alice` is alice, `local:root@web-07` root on web-07; a token or a service is called what it is."""
    kind, _, name = issued_by.partition(":")
    if kind == ISSUER and name:
        return name.replace("@", " on ", 1)
    return name if kind == "user" and name else issued_by.replace(":", " ", 1)


def exit_words(code: int | None) -> str:
    """How it ended: `exit code 1`, `signal 9 (SIGKILL)`."""
    if code is None:
        return "how it ended is not known, as an earlier controller launched it"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"


def stopped(order: Order) -> str:
    """The error of a task that was killed because its worker was stopped."""
    return f"Celery was stopped by {order.words}"


def lost(code: int | None) -> str:
    """The error of a task whose worker died under it."""
    return f"Worker lost: {exit_words(code)}"


def seconds(value: float) -> str:
    """A duration as people write it."""
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
