"""Pure: what a command came to, by what the hosts said of it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import cast

import msgspec

from signalbox.client.conclusion import GRAVITY, together
from signalbox.messages.receipts import Verdict
from signalbox_reconciler.fold.rows import AnswerRow

#: What the trail says of a cancel that no worker knew anything of, while the record shows the task as waiting.
REFUSED_EVERYWHERE = "No worker held the task; every worker refuses it from now on"
EXPIRED = "No host carried it out in time"
NOT_HEARD = "No host has answered; each refuses the task as soon as it is heard again"


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """The state, the words and the time of a command's end."""

    state: str
    detail: str
    #: None while it is not over.
    finished_at: datetime | None
    #: Of a cancel: for how many of its tasks it is over.
    tasks_done: int = 0


class Presumption(msgspec.Struct, frozen=True, kw_only=True):
    """What a cancel came to for a task of which no host said more than "not here"; none: nothing yet."""

    #: The task does not wait, as far as the record knows.
    elsewhere: Verdict | None
    #: It waits, and whatever could run it has been heard, or is stopped.
    waiting: Verdict | None
    #: It waits on a host of which nothing is heard, and which may run it.
    unheard: Verdict | None


def presume(answers: Sequence[AnswerRow], online: Collection[str], *, final: bool = False) -> Presumption:
    """What is to be thought of those tasks of a cancel of which no host said anything.

    Args:
        answers: at most one of each host.
        online: the hosts from which an answer can be expected.
        final: whether it is too late for more answers.
    """
    if any(answer.verdict == "refused" for answer in answers):
        return Presumption(elsewhere="refused", waiting="refused", unheard="refused")
    complete = set(online) <= {answer.host for answer in answers}
    late: Verdict | None = ("unknown" if answers else "unproven") if final else None
    return Presumption(
        elsewhere="unknown" if answers and complete else late,
        waiting="dropped" if complete else late,
        unheard="unproven" if final else None,
    )


def conclude(answers: Sequence[AnswerRow], tally: Mapping[str, int], now: datetime) -> Conclusion:
    """What a cancel came to: the gravest that became of one of its tasks; `issued` while that is open for any.

    Args:
        answers: at most one of each host.
        tally: how many of its tasks, of which there is one at least, are in which state.
        now: when it ended, if nobody had to answer for that.
    """
    total = sum(tally.values())
    done = total - tally.get("issued", 0)
    if done < total:
        return Conclusion(state="issued", detail="", finished_at=None, tasks_done=done)
    state = max(tally, key=lambda state: GRAVITY.index(cast("Verdict", state)))
    finished_at = max((answer.at for answer in answers), default=now)
    detail = _detail_of_one(state, answers) if total == 1 else _counted(tally)
    return Conclusion(state=state, detail=detail, finished_at=finished_at, tasks_done=done)


def _detail_of_one(state: str, answers: Sequence[AnswerRow]) -> str:
    if state == "dropped" and not any(answer.verdict == "dropped" for answer in answers):
        return REFUSED_EVERYWHERE
    return _detail(answers) if answers else NOT_HEARD


def _counted(tally: Mapping[str, int]) -> str:
    """How many came to what, the most first."""
    ordered = sorted(tally.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {state}" for state, count in ordered if count)


def conclude_everywhere(
    answers: Sequence[AnswerRow], expected: Collection[str], *, final: bool = False
) -> Conclusion | None:
    """What a stop or a start came to; none until every host that is expected to has answered.

    Args:
        answers: at most one of each host.
        expected: the hosts that must have done it.
        final: whether it is too late for more answers.
    """
    missing = sorted(set(expected) - {answer.host for answer in answers})
    if not answers or (missing and not final):
        return None
    verdict = together([answer.verdict for answer in answers])
    detail = _detail(answers)
    if missing:
        verdict = "incomplete" if verdict in {"stopped", "started", "unknown"} else verdict
        detail = "; ".join(filter(None, (detail, f"no answer from {', '.join(missing)}")))
    return Conclusion(state=verdict, detail=detail, finished_at=max(answer.at for answer in answers))


def _detail(answers: Sequence[AnswerRow]) -> str:
    """In the words of the host that has something to say; of several, each with its name."""
    telling = [answer for answer in answers if answer.verdict != "unknown"] or list(answers)
    if len(telling) == 1:
        return telling[0].detail
    ordered = sorted(telling, key=lambda answer: answer.host)
    return "; ".join(f"{answer.host}: {answer.detail or answer.verdict}" for answer in ordered)
