"""Comparison of what is claimed of a task with what its diary and the process table say; pure.

A claim that nobody has confirmed is no lie. A confirmed one is a lie at once where nobody can have seen it, and after
`GRACE` seconds where it was true before: until then it is on its way.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

#: Seconds after which a claim that is no longer true will not be corrected by itself any more.
GRACE = 30.0
#: The last words of a task. One that began and wrote none of them runs, or was killed.
END, RAISED, RETRIED, INTERRUPTED = "end", "raised", "retried", "interrupted"
#: Of a run that left no last word although its process has begun another task since.
LEFT = "left"


class Process(NamedTuple):
    """A process beyond doubt."""

    pid: int
    #: Clock ticks since the boot.
    started: int


@dataclass(frozen=True)
class Run:
    """One run of a task, as the task wrote it down; times are seconds since 1970."""

    process: Process
    began: float
    #: Its last word; empty while there is none.
    word: str = ""
    ended: float = 0.0


State = Literal["waits", "runs", "ended", "raised", "retried", "died"]
_BY_WORD: dict[str, State] = {END: "ended", RAISED: "raised", RETRIED: "retried", INTERRUPTED: "died", LEFT: "died"}
#: The statuses that are right for each state.
RIGHT: dict[State, AbstractSet[str]] = {
    "waits": {"pending", "failed"},
    "runs": {"running"},
    "ended": {"completed"},
    "raised": {"failed"},
    "retried": {"pending", "failed"},
    "died": {"failed", "pending"},
}


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a witness says of a task."""

    #: The witness.
    by: str
    task_id: str
    status: str
    outcome: str | None = None
    confirmed: bool = True
    #: Seconds since 1970; None where the witness does not say.
    started_at: float | None = None
    finished_at: float | None = None
    #: Since when, without a break, the witness vouches for what is not over; None: it does not.
    vouched_since: float | None = 0.0

    def __str__(self) -> str:
        words = [self.status, self.outcome or "", "" if self.confirmed else "not confirmed"]
        return f"{self.by} says {' '.join(filter(None, words))}"


@dataclass(frozen=True, kw_only=True)
class Sight:
    """Diary and process table, read after the claims that they are compared with."""

    at: float
    #: The runs of each task in the order in which they began.
    diary: Mapping[str, Sequence[Run]] = field(default_factory=dict)
    #: Processes that have ended, with the time at which that was seen first.
    gone: Mapping[Process, float] = field(default_factory=dict)

    def runs(self, task_id: str) -> Sequence[Run]:
        """Of this task."""
        return self.diary.get(task_id, ())

    def live(self, task_id: str) -> list[Run]:
        """The runs that go on."""
        return [run for run in self.runs(task_id) if not run.word and run.process not in self.gone]

    def state(self, task_id: str) -> tuple[State, float | None]:
        """What is so, and since when; None: since nobody knows when."""
        runs = self.runs(task_id)
        if live := self.live(task_id):
            return "runs", live[0].began
        if not runs:
            return "waits", None
        last = runs[-1]
        return ("died", self.gone[last.process]) if not last.word else (_BY_WORD[last.word], last.ended)

    def told(self, task_id: str) -> str:
        """For people."""
        runs = [
            f"pid {run.process.pid} began {run.began:.2f}"
            f" {f'{run.word} {run.ended:.2f}' if run.word else 'gone' if run.process in self.gone else 'alive'}"
            for run in self.runs(task_id)
        ]
        return "; ".join(runs) or "never began"


def lies(claims: Iterable[Claim], sight: Sight) -> list[str]:
    """Each claim that is contradicted, with all that is known of the task."""
    return [
        f"{claim.task_id}: {claim}, but {why} ({sight.told(claim.task_id)})"
        for claim in claims
        if claim.confirmed and (why := _impossible(claim, sight) or _outlived(claim, sight))
    ]


def _impossible(claim: Claim, sight: Sight) -> str:
    """Why nobody can have seen it; empty if somebody can."""
    runs = sight.runs(claim.task_id)
    if claim.status == "completed" and all(run.word != END for run in runs):
        return "it wrote no end"
    if claim.status != "failed":
        return ""
    if runs and all(run.word == END for run in runs):
        return "it wrote its end"
    return _cancelled_in_vain(claim, sight) if claim.outcome == "cancelled" else _failed_alive(claim, sight)


def _cancelled_in_vain(claim: Claim, sight: Sight) -> str:
    runs = sight.runs(claim.task_id)
    if any(run.word in {"", INTERRUPTED} and run.process not in sight.gone for run in runs):
        return "its process is alive"
    if claim.finished_at is not None and any(run.began > claim.finished_at for run in runs):
        return "it began afterwards"
    return ""


def _failed_alive(claim: Claim, sight: Sight) -> str:
    """A run that began later may be one that its broker delivered again."""
    before = [run for run in sight.live(claim.task_id) if run.began < (claim.finished_at or 0.0)]
    return "its process is alive" if before else ""


def _outlived(claim: Claim, sight: Sight) -> str:
    """Why it is no longer true, and has not been for long."""
    state, since = sight.state(claim.task_id)
    if claim.status in RIGHT[state] or claim.vouched_since is None:
        return ""
    since = since or claim.started_at or sight.at
    seconds = sight.at - max(since, claim.vouched_since)
    return f"it {state}, and has for long" if seconds > GRACE else ""


def disagreements(
    claims: Mapping[str, Claim], sight: Sight, waiting: AbstractSet[str], tasks: Iterable[str]
) -> dict[str, str]:
    """The tasks of which the record does not say exactly what is so, each with the reason.

    `waiting` are the ids whose messages are with the broker. A task that never began need not be in the record.
    """
    found = ((task_id, _disagreement(task_id, claims.get(task_id), sight, waiting)) for task_id in tasks)
    return {task_id: why for task_id, why in found if why}


def _disagreement(task_id: str, claim: Claim | None, sight: Sight, waiting: AbstractSet[str]) -> str:
    state, _ = sight.state(task_id)
    if claim is None:
        return "" if state == "waits" else f"nothing is in the record ({sight.told(task_id)})"
    words = f"{claim} ({sight.told(task_id)}, {'with' if task_id in waiting else 'not with'} its broker)"
    if claim.status not in RIGHT[state] or not claim.confirmed:
        return words
    return words if claim.status == "pending" and task_id not in waiting else ""
