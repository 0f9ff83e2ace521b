"""Pure: what a command came to, by what the hosts said of it."""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from signalbox.client.conclusion import GRAVITY, together
from signalbox_reconciler.fold.rows import AnswerRow

#: What the trail says of a cancel that no worker knew anything of, while the record shows the task as waiting.
REFUSED_EVERYWHERE = "No worker held the task; every worker refuses it from now on"
EXPIRED = "No host carried it out in time"


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """The state, the words and the time of a command's end."""

    state: str
    detail: str
    finished_at: datetime


def conclude(
    answers: Sequence[AnswerRow], online: Collection[str], *, task_waits: bool = False, final: bool = False
) -> Conclusion | None:
    """What a cancel came to: the gravest answer; none while all that came is "not here" and some host has yet to speak.

    Args:
        answers: at most one of each host.
        online: the hosts from which an answer can be expected.
        task_waits: whether the record shows the task of a cancel as pending.
        final: whether it is too late for more answers.
    """
    if not answers:
        return None
    gravest = max(answers, key=lambda answer: GRAVITY.index(answer.verdict))
    finished_at = max(answer.at for answer in answers)
    if gravest.verdict != "unknown":
        return Conclusion(state=gravest.verdict, detail=_detail(answers), finished_at=finished_at)
    complete = set(online) <= {answer.host for answer in answers}
    if not complete and not final:
        return None
    if complete and task_waits:
        return Conclusion(state="dropped", detail=REFUSED_EVERYWHERE, finished_at=finished_at)
    return Conclusion(state="unknown", detail=_detail(answers), finished_at=finished_at)


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
