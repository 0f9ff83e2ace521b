"""What a batch of events says of the record, one row for each key, and how two rows of one key become one.

Merging is commutative, associative and idempotent, and the SQL of `store` merges a row into the table by the same
rules. That is why events may come twice, late, out of order and cut into any batches.
"""

from datetime import datetime
from enum import IntEnum

import msgspec

from signalbox.messages.base import Certainty, Outcome, ProcessKind, ProcessState, Status
from signalbox.messages.receipts import Verdict


class Phase(IntEnum):
    """How far a run has come; within a run it never goes back."""

    RECEIVED = 1
    STARTED = 2
    #: This run is over, and there will be another one.
    WAITING = 3
    FINISHED = 4


class Fact(msgspec.Struct, kw_only=True):
    """What one event says of one run; of two facts the one with the greater `order` is shown."""

    run: str
    phase: int
    #: Whether somebody saw it, or it was inferred.
    confirmed: bool = True
    #: Decides between facts that are equal otherwise; see `precedence`.
    precedence: int
    status: Status
    outcome: Outcome | None = None
    error: str | None = None
    retries: int
    host: str | None
    worker: str | None
    finished_at: datetime | None = None

    # What all facts about one run add up to.
    started_at: datetime | None = None
    pid: int | None = None

    @property
    def order(self) -> tuple[str, bool, bool, int, int]:
        """The rank among the facts about the same key: any end that was seen is above one that was inferred."""
        return (self.run, self.over, self.confirmed, self.phase, self.precedence)

    @property
    def over(self) -> bool:
        """Whether the run has ended, one way or the other."""
        return self.phase >= Phase.WAITING


class TaskRow(Fact, kw_only=True):
    """A row of `tasks`."""

    task_id: str
    cancel_signal: str | None = None
    cancel_kill_at: datetime | None = None

    # What describes the task, from the event that knows most of it: the one with the greatest `details_key`.
    details_key: str
    name: str
    celery_name: str
    queue: str
    args: str = ""
    kwargs: str = ""
    eta: datetime | None = None
    root_id: str | None = None
    parent_id: str | None = None

    #: The earliest time at which anybody saw anything of it.
    created_at: datetime


class LogRow(Fact, kw_only=True):
    """A row of `task_logs`: one run that was started."""

    task_id: str
    traceback: str | None = None


class ProcessRow(msgspec.Struct, kw_only=True):
    """A row of `processes`; the later `at` is shown."""

    host: str
    name: str
    kind: ProcessKind
    state: ProcessState
    desired: ProcessState
    instance: str
    pid: int | None
    node: str
    since: datetime | None
    exit_code: int | None
    message: str
    kill_at: datetime | None = None
    standby: bool = False
    guest: bool = False
    at: datetime


class HostRow(msgspec.Struct, kw_only=True):
    """A row of `hosts`; the later `at` is shown."""

    name: str
    online: bool
    at: datetime


class SnapshotRow(msgspec.Struct, kw_only=True):
    """The latest that a host said of all that runs on it."""

    host: str
    at: datetime
    #: Seconds between two of them.
    interval: float
    #: Names of its processes.
    processes: tuple[str, ...]
    #: Ids and runs of its running tasks.
    running: tuple[tuple[str, str], ...]


class AnswerRow(msgspec.Struct, kw_only=True):
    """What a host said of a command; the one with the greater weight, then the later one, is kept."""

    command_id: str
    host: str
    verdict: Verdict
    weight: int
    detail: str
    at: datetime


class VerdictRow(AnswerRow, kw_only=True):
    """What a host said of one task that a cancel is about, if it said anything."""

    task_id: str


def microseconds(at: datetime) -> int:
    """Since the epoch."""
    return round(at.timestamp() * 1_000_000)


#: More than any time in microseconds: of ends that nobody saw, one that was told of beats one that was guessed.
TOLD = 1 << 61


def precedence(phase: int, at: datetime, certainty: Certainty = "seen") -> int:
    """Between equal facts: of ends the first one, of all else the latest one."""
    if phase != Phase.FINISHED:
        return microseconds(at)
    return (TOLD if certainty == "told" else 0) - microseconds(at)
