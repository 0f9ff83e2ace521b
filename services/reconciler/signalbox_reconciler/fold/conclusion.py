"""Conclusion of a command from the answers of its hosts; pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from signalbox.messages.verdicts import Verdict, severity, worst_of_processes
from signalbox_reconciler.fold.rows import AnswerRow

#: The detail of a cancel that no worker had a task for, while the record shows the task as waiting.
REFUSED_EVERYWHERE = "No worker held the task; every worker refuses it from now on"
EXPIRED = "No host carried it out in time"
NO_ANSWER = "No host has answered; each refuses the task as soon as it is heard again"


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """State, detail and time of a command's end."""

    state: str
    detail: str
    #: None while the command is open.
    finished_at: datetime | None
    #: Of a cancel: the number of its tasks with a final verdict.
    tasks_done: int = 0


class InferredVerdicts(msgspec.Struct, frozen=True, kw_only=True):
    """The verdicts of a cancel on tasks that every answer so far calls "not here"; None: still open."""

    #: On a task that does not wait, according to the record.
    not_waiting: Verdict | None
    #: On a waiting task, when every worker that could run it has answered or is stopped.
    waiting: Verdict | None
    #: On a waiting task of a silent host, which may run it.
    on_silent_host: Verdict | None


def infer_verdicts(answers: Sequence[AnswerRow], online: Collection[str], *, final: bool = False) -> InferredVerdicts:
    """Infer the verdicts on those tasks of a cancel that no host reported.

    Args:
        answers: at most one of each host.
        online: the hosts from which an answer can be expected.
        final: whether it is too late for more answers.
    """
    if any(answer.verdict == "refused" for answer in answers):
        return InferredVerdicts(not_waiting="refused", waiting="refused", on_silent_host="refused")
    complete = set(online) <= {answer.host for answer in answers}
    overdue: Verdict | None = ("unknown" if answers else "unproven") if final else None
    return InferredVerdicts(
        not_waiting="unknown" if answers and complete else overdue,
        waiting="dropped" if complete else overdue,
        on_silent_host="unproven" if final else None,
    )


def conclude(answers: Sequence[AnswerRow], tally: Mapping[str, int], now: datetime) -> Conclusion:
    """Conclude a cancel: the gravest verdict on one of its tasks; `issued` while that of any is open.

    Args:
        answers: at most one of each host.
        tally: the number of its tasks by state; there is at least one.
        now: the time of its end when no host answered.
    """
    total = sum(tally.values())
    done = total - tally.get("issued", 0)
    if done < total:
        return Conclusion(state="issued", detail="", finished_at=None, tasks_done=done)
    state = max(tally, key=severity)
    finished_at = max((answer.at for answer in answers), default=now)
    detail = _detail_of_one(state, answers) if total == 1 else _counted(tally)
    return Conclusion(state=state, detail=detail, finished_at=finished_at, tasks_done=done)


def _detail_of_one(state: str, answers: Sequence[AnswerRow]) -> str:
    if state == "dropped" and not any(answer.verdict == "dropped" for answer in answers):
        return REFUSED_EVERYWHERE
    return _detail(answers) if answers else NO_ANSWER


def _counted(tally: Mapping[str, int]) -> str:
    """The numbers by state, the greatest first."""
    ordered = sorted(tally.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {state}" for state, count in ordered if count)


def conclude_everywhere(
    answers: Sequence[AnswerRow], expected: Collection[str], *, final: bool = False
) -> Conclusion | None:
    """Conclude a stop or a start; None until every expected host has answered.

    Args:
        answers: at most one of each host.
        expected: the hosts that must answer.
        final: whether it is too late for more answers.
    """
    missing = sorted(set(expected) - {answer.host for answer in answers})
    if not answers or (missing and not final):
        return None
    verdict = worst_of_processes([answer.verdict for answer in answers])
    detail = _detail(answers)
    if missing:
        verdict = "incomplete" if verdict in {"stopped", "started", "unknown"} else verdict  # a release lasts
        detail = "; ".join(filter(None, (detail, f"no answer from {', '.join(missing)}")))
    return Conclusion(state=verdict, detail=detail, finished_at=max(answer.at for answer in answers))


def _detail(answers: Sequence[AnswerRow]) -> str:
    """The detail of the host that did something; of several, each with its name."""
    relevant = [answer for answer in answers if answer.verdict != "unknown"] or list(answers)
    if len(relevant) == 1:
        return relevant[0].detail
    ordered = sorted(relevant, key=lambda answer: answer.host)
    return "; ".join(f"{answer.host}: {answer.detail or answer.verdict}" for answer in ordered)
