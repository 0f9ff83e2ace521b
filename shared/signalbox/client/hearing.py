"""How long to listen for answers: pure, so that it reads like a table in its test."""

import msgspec

from signalbox.client.conclusion import decisive, gravest, silent
from signalbox.messages.receipts import CANCELLED, Answered, AnyReceipt, Progressed, Recorded

#: Seconds that a decisive answer waits for the other hosts: a redelivered task may run on two of them.
STRAGGLERS = 0.5


class Patience(msgspec.Struct, frozen=True):
    """How long a caller is ready to wait, in seconds."""

    #: For the hosts' answers.
    answers: float
    #: For the record, once the answers are there.
    record: float = 0.0
    #: For the remaining hosts, once one has answered decisively.
    stragglers: float = STRAGGLERS


class Hearing(msgspec.Struct):
    """What has been heard of one command so far, and when (in seconds since the command was given)."""

    hosts: frozenset[str]
    answers: dict[str, Answered] = {}
    recorded: set[str] = set()
    #: How far each host was when it last said so.
    progress: dict[str, Progressed] = {}
    decided_at: float | None = None
    completed_at: float | None = None

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
        """When to stop listening, as far as is known now."""
        if self.completed_at is not None:
            recording = self.proven and not self.all_recorded
            return self.completed_at + patience.record if recording else 0.0
        if self.decided_at is not None:
            return min(patience.answers, self.decided_at + patience.stragglers)
        return patience.answers

    @property
    def to_do(self) -> int:
        """How many tasks the hosts say that they still have to end; 0 as long as none has said anything."""
        return sum(told.total - told.done for host, told in self.progress.items() if host not in self.answers)

    @property
    def silent(self) -> frozenset[str]:
        """The hosts that listen and have not answered."""
        return silent(self.hosts, self.answers)

    @property
    def complete(self) -> bool:
        """Every host that listens has answered, and there is at least one."""
        return bool(self.answers) and not self.silent

    @property
    def answer(self) -> Answered | None:
        """What the answers amount to; none while it could still be anything."""
        gravest_yet = gravest(self.answers.values())
        return gravest_yet if self.complete or decisive(gravest_yet) else None

    @property
    def proven(self) -> bool:
        """The answers are something that the record will confirm."""
        if any(task.verdict in CANCELLED for answer in self.answers.values() for task in answer.tasks):
            return True
        return self.answer is not None and self.answer.verdict in CANCELLED | {"stopped", "started", "incomplete"}

    @property
    def all_recorded(self) -> bool:
        """The record has what every host answered."""
        return bool(self.answers) and self.recorded >= self.answers.keys()
