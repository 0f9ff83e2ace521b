"""Verdicts of a host on a command, and the meaning of each.

A new verdict is a word in a Literal and a line of `MEANING`; a contract test then names the SQL `CHECK` that lacks it.
"""

from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from signalbox.errors import CannotCancel, CommandError, StillAlive, TaskAlreadyFinished, UnknownTask

#: Of one task.
CancelVerdict = Literal[
    "cancelled",  # was running; it and its descendants were seen dead
    "dropped",  # was waiting; it will not run
    "finished",  # ended by itself before the signal
    "unknown",  # not here; will be refused should it arrive
    "unsupported",  # this pool cannot kill one task
    "alive",  # outlived KILL
    "unproven",  # the worker did not answer in time
    "refused",  # expired, unsigned or replayed; of processes, too
]
Verdict = Literal[
    CancelVerdict,
    "stopped",  # the processes are gone
    "started",  # the processes consume; the answer to a restart, too
    "incomplete",  # some processes are not as asked
    "allowed",  # an id that was cancelled may run again
    "forgotten",  # the record has forgotten the hosts
]

#: Status of an answer: done, under way, or neither.
AnswerStatus = Literal["success", "accepted", "error"]

#: The error of a cancelled task.
CANCELLED_ERROR = "Task cancelled manually"


class Meaning(msgspec.Struct, frozen=True):
    """Meaning of a verdict for the caller."""

    #: Of a command with this verdict alone.
    http_status: int
    #: Of several tasks, after their number: for one, and for more.
    sentence: tuple[str, str]
    #: Of one host, as its own controller answers; with `host`, `task` and `count` filled in. Empty: it is no success.
    on_host: str = ""
    #: It settles the question for a task, whatever a worker that does not answer may have.
    is_final: bool = False
    #: What the client raises; none for a success, or where the cancel is still under way.
    error: type[CommandError] | None = None

    @property
    def status(self) -> AnswerStatus:
        """The HTTP status as a word."""
        return "success" if self.http_status == 200 else "accepted" if self.http_status == 202 else "error"


def _both(words: str) -> tuple[str, str]:
    return words, words


#: The least severe first: a task that is dead on one host and alive on another is alive.
MEANING: Mapping[Verdict, Meaning] = {
    "unknown": Meaning(
        404,
        (
            "is known to nobody, and refused should it arrive",
            "are known to nobody, and refused should they arrive",
        ),
        error=UnknownTask,
    ),
    "refused": Meaning(502, ("was refused by a controller", "were refused by a controller")),
    "finished": Meaning(409, _both("had already finished"), is_final=True, error=TaskAlreadyFinished),
    "dropped": Meaning(
        200,
        ("has been cancelled", "have been cancelled"),
        "Task {task} was waiting on {host} and will not run there",
        is_final=True,
    ),
    "cancelled": Meaning(
        200,
        ("has been cancelled", "have been cancelled"),
        "Task {task} has been cancelled; the record follows as soon as Redis takes it",
        is_final=True,
    ),
    "stopped": Meaning(
        200,
        ("has been stopped", "have been stopped"),
        "{host} has been stopped; {count} ended with it; the record follows as soon as Redis takes it",
    ),
    "started": Meaning(200, ("has been started", "have been started"), "{host} has been started"),
    "unsupported": Meaning(
        409,
        ("runs in a pool that cannot end a single task", "run in pools that cannot end a single task"),
        is_final=True,
        error=CannotCancel,
    ),
    "allowed": Meaning(
        200, ("may run again", "may run again"), "Task {task} may run again on {host}, and wherever its release is read"
    ),
    "forgotten": Meaning(200, ("has been forgotten", "have been forgotten"), "{host} has been forgotten"),
    "incomplete": Meaning(502, ("is not as asked", "are not as asked")),
    "unproven": Meaning(202, ("is not proven to be over yet", "are not proven to be over yet")),
    "alive": Meaning(502, _both("outlived SIGKILL"), is_final=True, error=StillAlive),
}

_SEVERITY: Mapping[str, int] = {verdict: severity for severity, verdict in enumerate(MEANING)}

#: Verdicts that say: the task no longer runs, because we ended it.
CANCELLED: frozenset[Verdict] = frozenset({"cancelled", "dropped"})
#: Verdicts that say no more than that this host has nothing to do with it.
NOT_HERE: frozenset[Verdict] = frozenset({"unknown", "refused"})


def severity(verdict: str) -> int:
    """The severity of a verdict: of several, the greatest counts."""
    return _SEVERITY[verdict]


def worst(verdicts: Collection[Verdict]) -> Verdict:
    """The most severe verdict; `unknown` where there is none."""
    return max(verdicts, key=severity, default="unknown")


def worst_of_processes(verdicts: Collection[Verdict]) -> Verdict:
    """The verdict on a stop or a start of several hosts; where one of them refused it, it is not done."""
    found = worst(verdicts)
    return "incomplete" if found in {"stopped", "started"} and "refused" in verdicts else found


def counted(count: int, verdict: Verdict) -> str:
    """A number of tasks with this verdict, in words."""
    one, several = MEANING[verdict].sentence
    return f"{count:,} {one if count == 1 else several}"
