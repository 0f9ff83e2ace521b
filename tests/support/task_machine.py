"""Lives of tasks as a machine for Hypothesis: what happens, and the ways in which a bus may tell of it."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Literal, Protocol, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from signalbox.messages.base import Outcome
from signalbox.messages.commands import CancelTask
from signalbox.messages.events import AnyEvent, HostSeen
from signalbox_reconciler.fold.rows import LogRow, TaskRow
from support.fleet import Fleet, Turn

T = TypeVar("T")

#: A place in a list of any length.
PICK = st.integers(0, 99)
PICKS = st.lists(PICK, min_size=1, max_size=6)
SECONDS = st.sampled_from([0.001, 0.4, 2.0, 9.0])
ENDS = ["succeeded", "error", "time_limit", "revoked", "worker_lost", "cancelled", "retry", "requeue"]
REFUSALS: list[Outcome] = ["cancelled", "revoked", "expired", "worker_lost"]


class Record(Protocol):
    """What is told goes in, one batch at a time; what is shown comes out."""

    def write(self, events: Sequence[AnyEvent]) -> None:
        """Take in a batch."""

    def write_commands(self, *commands: CancelTask) -> None:
        """Take in commands; they are read by a hand of their own."""

    def give_up(self, task_id: str, run: str, at: datetime) -> None:
        """Show a run that is shown as running as lost, which nobody saw."""

    def tasks(self) -> dict[str, TaskRow]:
        """By their ids."""

    def logs(self) -> dict[tuple[str, str], LogRow]:
        """By task id and run."""


def pick(these: Sequence[T], place: int) -> T:
    """One of them."""
    return these[place % len(these)]


class TaskMachine(RuleBasedStateMachine):
    """Two tasks live on three workers, and a record hears of it: late, twice, out of order, or not at all."""

    #: Whether runs are given up, too.
    doubts = True

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.record = record
        #: On its way; heard at least once; all that ever was said.
        self.untold: list[AnyEvent | CancelTask] = []
        self.told: list[AnyEvent | CancelTask] = []
        #: Whether anything was lost.
        self.lost = False
        #: Whether the record has not been looked at since it heard something.
        self.changed = False
        self.fleet = Fleet(["t1", "t2"], self.untold.append)

    @initialize(lossy=st.booleans())
    def the_bus_is_as_it_is(self, lossy: bool) -> None:
        """It loses something now and then, or never does."""
        self.lossy = lossy

    # What happens

    @precondition(lambda self: self.fleet.queue)
    @rule(place=PICK, worker=PICK, late=st.booleans())
    def a_worker_takes_a_task(self, place: int, worker: int, late: bool) -> None:
        self.fleet.receive(pick(self.fleet.queue, place), pick(self.fleet.workers, worker), late=late)

    @precondition(lambda self: self.fleet.queue)
    @rule(place=PICK, worker=PICK, late=st.booleans())
    def a_worker_takes_and_runs_a_task(self, place: int, worker: int, late: bool) -> None:
        self.a_worker_takes_a_task(place, worker, late)
        if self.lets_run(self.fleet.turns[-1]):
            self.fleet.start(self.fleet.turns[-1])

    @precondition(lambda self: self.startable)
    @rule(place=PICK)
    def a_child_begins_to_run_it(self, place: int) -> None:
        self.fleet.start(pick(self.startable, place))

    @precondition(lambda self: self.waiting)
    @rule(place=PICK, outcome=st.sampled_from(REFUSALS))
    def a_worker_drops_it(self, place: int, outcome: Outcome) -> None:
        """Or the child died before it had it."""
        end = self.fleet.fail if outcome == "worker_lost" else self.fleet.drop
        end(pick(self.waiting, place), outcome)

    @precondition(lambda self: self.running)
    @rule(place=PICK, how=st.sampled_from(ENDS), seconds=SECONDS, knock=st.booleans(), given_up=st.booleans())
    def it_ends(
        self, place: int, how: Outcome | Literal["retry", "requeue"], seconds: float, knock: bool, given_up: bool
    ) -> None:
        """In spite of a cancel, perhaps, and somebody may have thought so before."""
        self.fleet.wait(seconds)
        turn = pick(self.running, place)
        if knock:
            self.fleet.knock(turn)
        if self.doubts and given_up and (turn.letter.task_id, turn.key) in self.shown_runs:
            self._give_up(turn.letter.task_id, turn.key)
        match how:
            case "succeeded":
                self.fleet.succeed(turn, told_after=seconds)
            case "cancelled":
                self.fleet.die(turn)
            case "retry":
                self.fleet.retry(turn)
            case "requeue":
                self.fleet.give_back(turn)
            case _:
                self.fleet.fail(turn, how)

    @precondition(lambda self: self.running)
    @rule(place=PICK)
    def a_cancel_knocks(self, place: int) -> None:
        self.fleet.knock(pick(self.running, place))

    @precondition(lambda self: self.fleet.live())
    @rule(place=PICK)
    def its_broker_delivers_it_again(self, place: int) -> None:
        self.fleet.deliver_again(pick(self.fleet.live(), place))

    @rule(task_id=st.sampled_from(["t1", "t2"]))
    def its_id_is_used_again(self, task_id: str) -> None:
        self.fleet.send_again(task_id)

    @rule(place=PICK, by_order=st.booleans())
    def a_worker_dies(self, place: int, by_order: bool) -> None:
        self.fleet.lose(pick(self.fleet.workers, place), by_order=by_order)

    # What is told of it

    @precondition(lambda self: self.untold)
    @rule(places=PICKS)
    def some_of_it_is_told(self, places: list[int]) -> None:
        """In whatever order."""
        batch = [self.untold.pop(place % len(self.untold)) for place in places[: len(self.untold)]]
        self.told += batch
        self._write(batch)

    @precondition(lambda self: self.told)
    @rule(places=PICKS)
    def some_of_it_is_told_again(self, places: list[int]) -> None:
        self._write([pick(self.told, place) for place in places])

    @precondition(lambda self: self.untold)
    @rule(backwards=st.booleans())
    def all_of_it_is_told(self, backwards: bool) -> None:
        batch = self.untold[:: -1 if backwards else 1]
        self.untold.clear()
        self.told += batch
        self._write(batch)

    @precondition(lambda self: self.lossy and self.untold)
    @rule(place=PICK)
    def some_of_it_is_lost(self, place: int) -> None:
        self.untold.pop(place % len(self.untold))
        self.lost = True

    @precondition(lambda self: self.doubts and self.shown_runs)
    @rule(place=PICK)
    def a_run_is_given_up(self, place: int) -> None:
        """Nobody saw its end, it is said; it may have none, or have been told of meanwhile."""
        self._give_up(*pick(self.shown_runs, place))

    def _give_up(self, task_id: str, run: str) -> None:
        self.fleet.wait(0)
        self.record.give_up(task_id, run, self.fleet.now)
        self.changed = True

    # What must be so

    @invariant()
    def what_is_shown_is_true(self) -> None:
        """Each time that something was told."""
        if self.changed:
            self.changed = False
            self.check()

    def check(self) -> None:
        """What is confirmed is true, and where nothing was lost, everything is shown."""
        self._what_is_confirmed_is_true()
        self._what_was_told_is_shown()

    def _what_was_told_is_shown(self) -> None:
        if self.untold or self.lost:
            return
        latest, tasks = self.fleet.latest(), self.record.tasks()
        attempts, logs = self.fleet.attempts(), {key: log for key, log in self.record.logs().items() if log.was_started}
        assert (set(tasks), set(logs)) == (set(latest), set(attempts))
        doubted = {log.task_id for log in logs.values() if not log.confirmed}
        for task_id, task in tasks.items():
            assert shown(task) == truth(latest[task_id]) or (task_id in doubted and latest[task_id].runs)
        for key, log in logs.items():
            assert shown_of_run(log) == truth_of_run(attempts[key]) or (not log.confirmed and attempts[key].runs)

    def _what_is_confirmed_is_true(self) -> None:
        ends = {(turn.letter.task_id, turn.key, turn.outcome) for turn in self.fleet.turns if turn.over}
        runs = {key[:2] for key in ends}
        rows: list[TaskRow | LogRow] = [*self.record.tasks().values(), *self.record.logs().values()]
        for row in rows:
            if row.confirmed and row.over:
                assert (row.task_id, row.run) in runs
                assert row.outcome is None or (row.task_id, row.run, row.outcome) in ends

    def heard(self) -> list[AnyEvent]:
        """All events that were told."""
        return [message for message in self.told if not isinstance(message, CancelTask)]

    @property
    def waiting(self) -> list[Turn]:
        """Turns that a worker holds."""
        return [turn for turn in self.fleet.live() if turn.waits]

    def lets_run(self, _turn: Turn) -> bool:
        """Whether its worker would run it."""
        return True

    @property
    def startable(self) -> list[Turn]:
        """Turns that a child may begin to run."""
        return [turn for turn in self.waiting if self.lets_run(turn)]

    @property
    def running(self) -> list[Turn]:
        """Turns that a child runs."""
        return [turn for turn in self.fleet.live() if turn.runs]

    @property
    def shown_runs(self) -> list[tuple[str, str]]:
        """Task ids and runs that the record shows."""
        return sorted(key for key, log in self.record.logs().items() if log.was_started)

    def _write(self, batch: Sequence[AnyEvent | CancelTask]) -> None:
        logs = self.record.logs()
        if commands := [message for message in batch if isinstance(message, CancelTask)]:
            self.record.write_commands(*commands)
        if events := [message for message in batch if not isinstance(message, CancelTask)]:
            self.record.write(events)
        self.changed = True
        listed = {key for event in events if isinstance(event, HostSeen) for key in event.running}
        for key, later in self.record.logs().items():
            assert key not in logs or follows(logs[key], later, listed)


def follows(before: TaskRow | LogRow, after: TaskRow | LogRow, listed: AbstractSet[tuple[str, str]]) -> bool:
    """Whether a run has come further, or an end that nobody saw is taken back because its host lists the run."""
    seen = after.confirmed and after.status == "running" and (after.task_id, after.run) in listed
    return stays(before, after) or (seen and not before.confirmed)


def stays(before: TaskRow | LogRow, after: TaskRow | LogRow) -> bool:
    """Whether a run is still what it was, if that is an end, or has come further."""
    if before.over and before.confirmed:
        same_end = after.outcome == before.outcome or after.started_at is None
        return (after.phase, after.status, after.confirmed) == (before.phase, before.status, True) and same_end
    return after.phase >= before.phase or (before.over and after.over and after.confirmed)


Shown = tuple[object, ...]


def shown(row: TaskRow) -> Shown:
    """What people see of a task."""
    return (*_shown(row), row.status, row.outcome, row.error, row.finished_at, row.cancel_signal, row.cancel_kill_at)


def shown_of_run(row: LogRow) -> Shown:
    """What people see of a run."""
    return (*_shown(row), row.status, row.outcome, row.error, row.finished_at)


def _shown(row: TaskRow | LogRow) -> Shown:
    return (row.run, row.confirmed, row.retries, row.host, row.worker, row.started_at, row.pid)


def truth(turn: Turn) -> Shown:
    """What they ought to see of a task of which this is the latest turn."""
    final = turn.status in {"completed", "failed"}
    error = turn.error if final or turn.outcome == "error" else None
    ended = (turn.outcome, error, turn.finished_at) if final else (None, error, None)
    return (*_truth(turn), turn.status, *ended, turn.signal, turn.kill_at if turn.runs else None)


def truth_of_run(turn: Turn) -> Shown:
    """What they ought to see of this turn."""
    status = "failed" if turn.over and turn.status == "pending" else turn.status
    return (*_truth(turn), status, turn.outcome, turn.error, turn.finished_at)


def _truth(turn: Turn) -> Shown:
    worker = f"{turn.worker.name}@{turn.worker.host}"
    return (turn.key, True, turn.letter.retries, turn.worker.host, worker, turn.started_at, turn.pid)
