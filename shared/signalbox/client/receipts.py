"""Receipts of one command, collected, and how long to wait for more: pure."""

import msgspec

from signalbox.messages.receipts import Answered, AnyReceipt, Progressed, Recorded
from signalbox.messages.verdicts import CANCELLED, NOT_HERE, severity

#: Seconds that a decisive answer waits for the other hosts: a redelivered task may run on two of them.
STRAGGLERS = 0.5


class Patience(msgspec.Struct, frozen=True):
    """Patience of a caller: how long to wait, in seconds."""

    #: For the hosts' answers.
    answers: float
    #: For the record, once the answers are there.
    record: float = 0.0
    #: For the remaining hosts, once one has answered decisively.
    stragglers: float = STRAGGLERS


class Collected(msgspec.Struct):
    """The receipts of one command so far, and when they came (in seconds since the command was given)."""

    hosts: frozenset[str]
    answers: dict[str, Answered] = {}
    recorded: set[str] = set()
    #: The latest progress of each host.
    progress: dict[str, Progressed] = {}
    decided_at: float | None = None
    completed_at: float | None = None
    #: The hosts that may run the task; none of them is a straggler.
    holders: frozenset[str] = frozenset()

    def note(self, receipt: AnyReceipt, now: float) -> None:
        """Take in one receipt; the same one twice changes nothing."""
        match receipt:
            case Answered():
                self._answered(receipt, now)
            case Progressed():
                self.progress[receipt.host] = receipt
            case Recorded():
                self.recorded.add(receipt.host)

    def _answered(self, receipt: Answered, now: float) -> None:
        self.answers[receipt.host] = receipt
        if self.decided_at is None and decisive(receipt):
            self.decided_at = now
        if self.completed_at is None and self.complete:
            self.completed_at = now

    def ends_at(self, patience: Patience) -> float:
        """When to stop waiting, in seconds since the command."""
        if self.completed_at is not None:
            recording = self.proven and not self.all_recorded
            return self.completed_at + patience.record if recording else 0.0
        if self.decided_at is not None and not self.awaited:
            return min(patience.answers, self.decided_at + patience.stragglers)
        return patience.answers

    @property
    def to_do(self) -> int:
        """How many tasks the hosts still have to end; 0 as long as none has reported."""
        return sum(last.total - last.done for host, last in self.progress.items() if host not in self.answers)

    @property
    def silent(self) -> frozenset[str]:
        """The hosts that read commands and have not answered."""
        return self.hosts - self.answers.keys()

    @property
    def awaited(self) -> frozenset[str]:
        """The hosts that read commands, may have the task, and have not answered: one decisive answer is not enough."""
        return (self.holders & self.hosts | self.progress.keys()) - self.answers.keys()

    @property
    def complete(self) -> bool:
        """Whether every host that reads commands has answered, and there is at least one."""
        return bool(self.answers) and not self.silent

    @property
    def answer(self) -> Answered | None:
        """The most severe answer; None while a more severe one may come."""
        worst = max(self.answers.values(), key=lambda answer: severity(answer.verdict), default=None)
        settled = decisive(worst) and not self.awaited
        return worst if self.complete or settled or (worst is not None and worst.verdict == "alive") else None

    @property
    def proven(self) -> bool:
        """Whether the record will show the answers, too."""
        if any(task.verdict in CANCELLED for answer in self.answers.values() for task in answer.tasks):
            return True
        return self.answer is not None and self.answer.verdict in CANCELLED | {"stopped", "started", "incomplete"}

    @property
    def all_recorded(self) -> bool:
        """Whether the record shows the answer of every host."""
        return bool(self.answers) and self.recorded >= self.answers.keys()


def decisive(answer: Answered | None) -> bool:
    """Whether an answer decides the command, so that the other hosts hardly matter."""
    return answer is not None and answer.verdict not in NOT_HERE
