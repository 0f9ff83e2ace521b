"""Words for people: who gave an order, how a process ended, why a task failed with it."""

import signal
from collections.abc import Mapping
from typing import Self

import msgspec

from signalbox.local.protocol import ISSUER
from signalbox.messages.commands import RestartProcesses, StopProcesses
from signalbox_controller.linux.out_of_memory import Finding


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A stop of a process: who asked for it, and why."""

    by: str
    reason: str = ""
    #: Whether tasks that are acknowledged late are to run again.
    redeliver: bool = False

    @classmethod
    def of(cls, command: StopProcesses | RestartProcesses) -> Self:
        """The order that a command gives."""
        return cls(by=command.issued_by, reason=command.reason, redeliver=command.redeliver)

    @property
    def words(self) -> str:
        """`alice: maintenance`, or only `alice`."""
        return f"{person(self.by)}: {self.reason}" if self.reason else person(self.by)


def person(issued_by: str) -> str:
    """The name of a person or service: `user:alice` is alice, `local:root@web-07` is root on web-07."""
    kind, _, name = issued_by.partition(":")
    if kind == ISSUER and name:
        return name.replace("@", " on ", 1)
    return name if kind == "user" and name else issued_by.replace(":", " ", 1)


#: Additions to the words for a death by KILL.
OUT_OF_MEMORY: Mapping[Finding, str] = {
    "yes": ", by the kernel: out of memory",
    "probably": ", probably by the kernel: it ended something then, as memory ran out",
    "unseen": "; whether memory ran out cannot be seen from here",
    "no": "",
}


def exit_words(code: int | None, memory: Finding = "no") -> str:
    """Words for an exit: `exit code 1`, or `signal 9 (SIGKILL)`, perhaps with the kernel's reason."""
    if code is None:
        return "how it ended is not known, as an earlier controller launched it"
    if code >= 0:
        return f"exit code {code}"
    try:
        name = f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        name = f"signal {-code}"
    return name + OUT_OF_MEMORY[memory]


def childless(wanted: int, within: float) -> str:
    """The message of a worker that consumes, and of whose pool no process is up."""
    what = f"can run nothing: none of the {wanted} processes of its pool is up, see its log"
    limit = f"; Celery kills one that takes longer than {seconds(within)} to start (worker_proc_alive_timeout)"
    return what + limit if within else what


def lingered(value: float) -> str:
    """The error of a task whose worker shut down by itself, and was ended as it did not come to its end."""
    return f"Its worker shut down by itself, did not end within {seconds(value)}, and was ended"


def stopped(order: Order) -> str:
    """The error of a task that was killed because its worker was stopped."""
    return f"Celery was stopped by {order.words}"


def lost(end: str) -> str:
    """The error of a task whose worker died under it; `end` comes from `exit_words`."""
    return f"Worker lost: {end}"


#: Before the message of a process that runs, and that the file does not name.
UNCONFIGURED = (
    "no longer configured: stop it, or put it back into signalbox.toml and run `signalbox apply`, which takes it over"
)


def of_process(message: str, *, configured: bool, outdated: str) -> str:
    """The message of a process, after what a person should know of its configuration.

    Args:
        message: why it is as it is.
        configured: whether the file names it.
        outdated: the keys whose values in the file are not those that it runs with.
    """
    marks = [] if configured else [UNCONFIGURED]
    if outdated:
        marks.append(f"runs with other options than signalbox.toml has ({outdated}); a restart brings them into effect")
    return "; ".join(filter(None, (*marks, message)))


def seconds(value: float) -> str:
    """A duration for people."""
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
