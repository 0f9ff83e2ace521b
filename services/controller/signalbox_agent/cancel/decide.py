"""Decisions of a cancel, as pure functions: from an observation to the next acts."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from typing import Any

#: Seconds that a process may take to die of KILL until it is reported as alive.
KILL_WITHIN = 2.0


class Standing(enum.Enum):
    """The place of a task in its worker."""

    WAITING = "waiting for a free child, or for its time"
    HANDED = "handed to the pool, not yet accepted there"
    RUNNING = "running"
    FOREIGN = "held by a strategy of its own, or in a job of the pool together with others"


class CancelAction(enum.Enum):
    """The action of a cancel."""

    DROP = "announce it as revoked; it will not run"
    AWAIT = "kill it as soon as a child accepts it"
    KILL = "signal its process"
    REFUSE = "say that this pool cannot"


def action_for(standing: Standing, *, can_kill: bool, can_refuse: bool = False) -> CancelAction:
    """The action for a task, in a pool that can or cannot end a single one, or refuse one that is about to start."""
    if standing is Standing.WAITING:
        return CancelAction.DROP
    if standing is Standing.FOREIGN:
        return CancelAction.REFUSE
    if standing is Standing.HANDED:
        if can_refuse:
            return CancelAction.DROP
        return CancelAction.AWAIT if can_kill else CancelAction.REFUSE
    return CancelAction.KILL if can_kill else CancelAction.REFUSE


#: The states of a run after a cancel, the least grave first.
_STATES = ("unknown", "finished", "dropped", "dead", "alive")


def gravest(answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The answer about several runs of one task: the gravest, with what all of them may have left behind."""
    answer = max(answers, key=lambda answer: _STATES.index(answer["state"]))
    strays = [stray for one in answers for stray in one.get("strays", ())]
    dead = [one for one in answers if one["state"] == "dead"]
    cgroups = [name for one in dead for name in one.get("cgroups", ("",))]
    return answer | ({"strays": strays} if strays else {}) | ({"cgroups": cgroups} if any(cgroups) else {})


class Stage(enum.Enum):
    """The stage of a kill."""

    TERM = "asked to end"
    KILL = "killed"
    STUCK = "outlived KILL, and was reported"
    DONE = "over"


class Act(enum.Enum):
    """An act of a kill."""

    TERM_CHILD = "TERM to the pool child"
    TERM_REST = "TERM to the descendants that have not had it"
    KILL_ALL = "KILL to all that is left and has not had it"
    REPORT_ALIVE = "report that something outlived KILL"
    REPORT_DEAD = "report the death of all"
    REPORT_FINISHED = "report that the task came to an end of its own"


@dataclasses.dataclass(frozen=True)
class Plan:
    """The state of one kill."""

    stage: Stage
    #: When the next stage begins, on the monotonic clock.
    deadline: float
    #: Whether the child was asked once more, after its task had ended in an error.
    asked_again: bool = False


@dataclasses.dataclass(frozen=True)
class Seen:
    """The findings of one look."""

    now: float
    #: Whether the pool child is gone: reaped, not a zombie.
    child_gone: bool
    #: The end of the task, as the child reported it: `completed`; `failed` by itself; `interrupted`, when it raised
    #: after a TERM had reached it, or would be tried again; or nothing.
    ended: str | None
    #: The number of descendants that have not ended.
    left: int
    #: The number of those, and the child, that have not had the signal of this stage.
    fresh: int


def decide(plan: Plan, seen: Seen) -> tuple[Plan, tuple[Act, ...]]:
    """The next plan, and what to do now.

    A task that completed in spite of TERM has completed, and one that had failed before it has failed. One that
    ended in an error after TERM is over too, but its child is ended for the sake of the proof; it takes the
    TERM at once, as nothing of the task holds it up any more.
    """
    if plan.stage is Stage.DONE:
        return plan, ()
    if seen.ended in {"completed", "failed"}:
        return dataclasses.replace(plan, stage=Stage.DONE), (Act.REPORT_FINISHED,)
    if seen.child_gone and not seen.left:
        return dataclasses.replace(plan, stage=Stage.DONE), (Act.REPORT_DEAD,)
    if plan.stage is Stage.TERM:
        return _ask(plan, seen)
    acts = (Act.KILL_ALL,) if seen.fresh else ()
    if plan.stage is Stage.KILL and seen.now >= plan.deadline:
        return dataclasses.replace(plan, stage=Stage.STUCK), (*acts, Act.REPORT_ALIVE)
    return plan, acts


def _ask(plan: Plan, seen: Seen) -> tuple[Plan, tuple[Act, ...]]:
    if seen.now >= plan.deadline:
        return Plan(Stage.KILL, seen.now + KILL_WITHIN), (Act.KILL_ALL,)
    if seen.child_gone:
        return plan, (Act.TERM_REST,) if seen.fresh else ()
    if seen.ended == "interrupted" and not plan.asked_again:
        return dataclasses.replace(plan, asked_again=True), (Act.TERM_CHILD,)
    return plan, ()
