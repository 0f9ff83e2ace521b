"""What several hosts' answers amount to: pure, and the same for every caller."""

from collections.abc import Collection, Iterable, Mapping

from signalbox.messages.receipts import Answered, Verdict

#: The worst news wins: a task that is dead on one host and alive on another is alive.
GRAVITY: tuple[Verdict, ...] = (
    "unknown",
    "refused",
    "finished",
    "dropped",
    "cancelled",
    "stopped",
    "started",
    "unsupported",
    "incomplete",
    "unproven",
    "alive",
)


def gravest(answers: Iterable[Answered]) -> Answered | None:
    """The answer that the caller must hear first; none when there is no answer."""
    return max(answers, key=lambda answer: GRAVITY.index(answer.verdict), default=None)


def together(verdicts: Collection[Verdict]) -> Verdict:
    """What a stop or a start came to on several hosts; where one of them refused it, it is not done."""
    worst = max(verdicts, key=GRAVITY.index)
    return "incomplete" if worst in {"stopped", "started"} and "refused" in verdicts else worst


def decisive(answer: Answered | None) -> bool:
    """Whether an answer says more than that this host has nothing to do with it."""
    return answer is not None and answer.verdict not in {"unknown", "refused"}


def silent(hosts: frozenset[str], answers: Mapping[str, Answered]) -> frozenset[str]:
    """The hosts that listen and have not answered yet."""
    return hosts - answers.keys()
