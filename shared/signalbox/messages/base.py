"""Base of all messages: frozen structs, told apart on the wire by their `type`."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec

#: The four statuses that people know.
Status = Literal["pending", "running", "completed", "failed"]

#: How a task came to its status, once it is final; none while it is not.
Outcome = Literal[
    "succeeded",  # returned a value
    "ignored",  # raised Ignore: done, without a result
    "error",  # raised
    "cancelled",  # killed or dropped because a person or service asked
    "stopped",  # killed because its worker was told to stop
    "worker_lost",  # its process died under it
    "time_limit",  # exceeded its hard time limit
    "revoked",  # revoked by somebody else than Signalbox
    "expired",  # waited longer than it was allowed to
    "rejected",  # raised Reject without asking to be requeued; or its worker threw its message away
    "discarded",  # waited, and is in no queue and no worker any more
]

#: What a process can be in; `running` means that it consumes (or, for beat, ticks).
ProcessState = Literal["stopped", "starting", "running", "draining", "stopping", "backoff", "fatal", "unknown"]

#: How a fact is known: an agent saw it; Celery's own events told it, or a strategy of the task's own did, which prove
#: nothing; or it follows from a silence.
Certainty = Literal["seen", "told", "inferred"]

#: What proves that nothing of a task is left: the kernel, which holds all its processes in a cgroup; or a search, which
#: does not find what has left the task's family.
Evidence = Literal["cgroup", "search"]

ProcessKind = Literal["worker", "beat"]

#: A time with its zone (RFC 3339); one without is unreadable, because nobody could compare it with another.
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=True, omit_defaults=True):
    """A message on the bus: immutable, named in the imperative (command) or the past tense (event)."""


def weakest(proofs: Iterable[Evidence | None]) -> Evidence | None:
    """Of several proofs the weakest; None without any."""
    seen = set(proofs)
    return "search" if "search" in seen else "cgroup" if "cgroup" in seen else None


def utc_now() -> datetime:
    """The present, with a time zone; the only clock that messages use."""
    return datetime.now(UTC)
