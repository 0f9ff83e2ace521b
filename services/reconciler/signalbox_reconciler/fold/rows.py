"""Rows of the record that a batch of events amounts to, one for each key, and their order when merged.

Merging is commutative, associative and idempotent, and the SQL of `store` merges a row into the table by the same
rules. So events may arrive twice, late, out of order, and in any batches.
"""

from datetime import datetime
from enum import IntEnum

import msgspec

from signalbox.messages.base import Certainty, Evidence, Outcome, Status
from signalbox.messages.verdicts import Verdict
from signalbox_reconciler.fold.run_keys import parse


class Phase(IntEnum):
    """Phase of a run; within a run it only increases."""

    RECEIVED = 1
    STARTED = 2
    #: This run is over, and there will be another one.
    WAITING = 3
    FINISHED = 4


class Fact(msgspec.Struct, kw_only=True):
    """State of one run according to one event; of two facts about it the one with the greater `order` is shown."""

    run: str
    phase: int
    #: True when observed, False when inferred.
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
    #: What proves that nothing of a cancelled run is left.
    proof: Evidence | None = None
    #: How many processes it has left running.
    left_processes: int = 0

    # Accumulated over all facts about one run.
    started_at: datetime | None = None
    pid: int | None = None
    cancel_signal: str | None = None
    cancel_kill_at: datetime | None = None

    @property
    def order(self) -> tuple[bool, bool, int, int]:
        """The rank among the facts about the same run: any observed end ranks above an inferred one."""
        return (self.over, self.confirmed, self.phase, self.precedence)

    @property
    def over(self) -> bool:
        """Whether the run has ended, one way or the other."""
        return self.phase >= Phase.WAITING


class TaskRow(Fact, kw_only=True):
    """A row of `tasks`: the task itself, and the liveliest of its runs; see `fold.liveliest`."""

    task_id: str

    # Description of the task, from the event with the greatest `details_key`, which has the most of it.
    details_key: str
    full_id: str | None = None
    name: str
    celery_name: str
    queue: str
    args: str = ""
    kwargs: str = ""
    eta: datetime | None = None
    root_id: str | None = None
    parent_id: str | None = None

    #: The earliest time at which it was observed.
    created_at: datetime


class LogRow(Fact, kw_only=True):
    """A row of `task_logs`: one run that was started, or one delivery that ended before it was."""

    task_id: str
    #: The key of the delivery that it came by, as `WaitRow.run`; empty where it is not known.
    delivery: str = ""
    traceback: str | None = None

    @property
    def was_started(self) -> bool:
        """Whether a child began it."""
        return parse(self.run).started


class WaitRow(Fact, kw_only=True):
    """A row of `task_waits`: one delivery that waits in a worker; there is none once it has a log."""

    task_id: str

    @property
    def delivery(self) -> str:
        """Its key."""
        return self.run


class HostRow(msgspec.Struct, kw_only=True):
    """A row of `hosts`; the later `at` is shown."""

    name: str
    online: bool
    at: datetime
    proof: Evidence | None = None
    proof_detail: str = ""
    #: None: its controller does not say.
    clock_ahead: float | None = None


class AnswerRow(msgspec.Struct, kw_only=True):
    """A host's answer to a command; the one with the greater weight, then the later one, is kept."""

    command_id: str
    host: str
    verdict: Verdict
    weight: int
    detail: str
    at: datetime


class VerdictRow(AnswerRow, kw_only=True):
    """A host's verdict on one task of a cancel."""

    task_id: str


def microseconds(at: datetime) -> int:
    """Since the epoch."""
    return round(at.timestamp() * 1_000_000)


#: More than any time in microseconds: of ends that were not observed, a reported one beats a guessed one.
REPORTED = 1 << 61


def precedence(phase: int, at: datetime, certainty: Certainty = "seen") -> int:
    """Order of facts that are equal otherwise: of ends the first one, of all else the latest one."""
    if phase != Phase.FINISHED:
        return microseconds(at)
    return (REPORTED if certainty == "told" else 0) - microseconds(at)
