"""Views: rows of the record in the form that browsers and scripts see, on the wire and over HTTP alike.

Times are RFC 3339 in UTC. Fields may be added, never removed or renamed: other people's scripts read them.
"""

from datetime import datetime
from typing import Literal

import msgspec

from signalbox.messages.base import Evidence, Outcome, ProcessKind, ProcessState, Status


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A row as it is shown; every field is always present."""


class TaskView(View, frozen=True, kw_only=True):
    """One Celery task."""

    #: Its id; of one that is longer than 1,000 bytes the beginning and a digest, by which every call finds it, too.
    task_id: str
    #: The whole id, where `task_id` is not that; control characters are written as `\x0a`.
    full_id: str | None = None
    name: str
    celery_name: str
    status: Status
    outcome: Outcome | None
    #: Whether somebody saw it, or it was inferred from a silence.
    confirmed: bool
    error: str | None
    queue: str
    host: str | None
    worker: str | None
    #: The pool child that runs or ran it.
    pid: int | None
    attempt: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    #: Seconds from start to finish; none while it runs.
    runtime: float | None
    cancel_requested_at: datetime | None
    cancel_signal: str | None
    cancel_kill_at: datetime | None
    #: What proves that nothing of a cancelled task is left; none where nothing had to be ended.
    proof: Evidence | None
    #: How many processes its latest run has left running; they were not ended.
    left_processes: int
    args: str
    kwargs: str
    #: While it waits: when somebody saw it do so last, be that a worker that holds it or a look into its queue.
    vouched_at: datetime | None = None


class LogView(View, frozen=True, kw_only=True):
    """One attempt at a task."""

    log_id: int
    task_id: str
    attempt: int
    status: Status
    outcome: Outcome | None
    error: str | None
    traceback: str | None
    host: str | None
    worker: str | None
    pid: int | None
    started_at: datetime | None
    finished_at: datetime | None
    #: As of its task.
    proof: Evidence | None
    left_processes: int


class ProcessView(View, frozen=True, kw_only=True):
    """One supervised worker or beat."""

    host: str
    name: str
    kind: ProcessKind
    state: ProcessState
    desired: ProcessState
    pid: int | None
    node: str
    since: datetime | None
    exit_code: int | None
    message: str
    #: While it is being stopped: when it will be killed.
    kill_at: datetime | None
    #: A beat that is wanted and does not run, because another host's does: as it should be.
    standby: bool
    #: Launched by somebody else, who alone can stop and start it.
    guest: bool
    #: The queues that a worker consumes, by its own report; what it consumed last, when it does not run.
    queues: tuple[str, ...] = ()
    #: Whether the configuration of its host names it; one that it names no longer can be stopped, and not started.
    configured: bool = True
    #: The keys, with commas between, whose values in the configuration are not those that it runs with.
    outdated: str = ""


class HostView(View, frozen=True, kw_only=True):
    """One host that has, or had, a controller."""

    name: str
    #: `gone` is published once, when the host is forgotten; no list has it.
    state: Literal["online", "unknown", "offline", "gone"]
    seen_at: datetime
    #: What proves there that nothing of a task is left, and why it is that; none: its controller does not say.
    proof: Evidence | None
    proof_detail: str
    #: Seconds by which its clock is ahead of that of the bus, 0 where that is tolerated; times are shown corrected.
    clock_ahead: float | None = None


class CommandView(View, frozen=True, kw_only=True):
    """One line of the audit trail: who asked for what, and how it ended."""

    command_id: str
    command: str
    target: str
    issued_by: str
    issued_from: str
    reason: str
    issued_at: datetime
    expires_at: datetime
    #: `issued` until a host answers, then the verdict.
    state: str
    detail: str
    finished_at: datetime | None
    #: Of cancels: how many tasks they are about, and for how many of those it is known what came of it.
    tasks_total: int
    tasks_done: int


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A row that changed, as published on `signalbox:changes` after the commit."""

    kind: Literal["task", "log", "process", "host", "command"]
    key: str
    #: The view, already encoded: what passes it on need not understand it. `null`: the row is no more.
    row: msgspec.Raw

    @classmethod
    def of(cls, kind: Literal["task", "log", "process", "host", "command"], key: str, row: View | None) -> "Change":
        """The change that shows `row`; without one, that it is no more."""
        return cls(kind=kind, key=key, row=msgspec.Raw(msgspec.json.encode(row)))
