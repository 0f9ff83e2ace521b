"""State of one run as its child wrote it into its slot: the words, and what they say of the task."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from json.encoder import encode_basestring_ascii as quote
from typing import NamedTuple

#: The body of the task runs, or is about to.
RUNNING = "running"
#: It has returned or raised by itself, and its report is not complete: a TERM waits for that, or the result backend
#: has refused the result, and Celery is about to make a failure of it.
OVER = "over"
#: A TERM has reached the body, which may be cleaning up.
INTERRUPTED = "interrupted"
#: The body is over, and a TERM, or something else that is no error of its own, has made it so.
UNWOUND = "unwound"
#: It has given its message back to the queue (`Reject` with `requeue`).
REQUEUED = "requeued"
#: Any other word is the state that Celery gave to a body that ended by itself, and that its backend has stored:
#: these, each with the status of the task, which is empty when the task comes back.
STORED = {
    "SUCCESS": "completed",
    "IGNORED": "completed",
    "FAILURE": "failed",
    "REJECTED": "failed",
    "RETRY": "",
    REQUEUED: "",
}

#: Bytes of an id, as it is quoted.
ID_LIMIT = 1200


class SlotState(NamedTuple):
    """One run, as its child wrote it."""

    word: str
    #: The id, or what `label` makes of a long one.
    task_id: str
    retries: int = 0
    #: Epoch, in seconds; 0.0 where it is not known, and for the end while there is none.
    began: float = 0.0
    ended: float = 0.0
    acks_late: bool = False
    celery_name: str = ""
    error: str = ""
    #: Counts the runs of the child.
    number: int = 0
    traceback: str = ""

    @property
    def stored(self) -> bool:
        """Whether it ended by itself, and its end is stored."""
        return self.word in STORED and self.ended > 0

    @property
    def status(self) -> str:
        """The status of its task, once it is stored; empty when the task comes back."""
        return STORED.get(self.word, "") if self.stored else ""

    @property
    def outcome(self) -> str:
        """The outcome of what did not return, and is over for good."""
        if self.word == "REJECTED":
            return "rejected"
        return "time_limit" if self.error.startswith("SoftTimeLimitExceeded") else "error"

    @property
    def runtime(self) -> float:
        """Seconds from its beginning to its end."""
        return max(0.0, self.ended - self.began)


def label(task_id: str) -> str:
    """The id as it stands in a slot; of one that is too long its beginning and a digest."""
    if len(quote(task_id)) <= ID_LIMIT:
        return task_id
    return f"{task_id[: ID_LIMIT // 24]}…{sha256(task_id.encode(errors='replace')).hexdigest()}"


def find(states: Iterable[SlotState], task_id: str, retries: int, started_at: float) -> SlotState | None:
    """The state of one run.

    A child begins a task after its worker's clock has taken the start, and ends it before it accepts another one: an
    earlier run of the same id has begun before that.
    """
    wanted = label(task_id)
    same = (one for one in states if (one.task_id, one.retries) == (wanted, retries) and one.began >= started_at)
    return min(same, key=lambda one: one.began, default=None)
