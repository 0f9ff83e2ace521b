"""Cancels, answers and the events of tasks: in whatever order they are told, the record ends up the same, and true."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Literal, get_args

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from signalbox.messages.commands import CancelTask
from signalbox.messages.events import CommandDone
from signalbox.messages.verdicts import Verdict
from signalbox_controller.cancelling.proof import verdict_of_host
from signalbox_reconciler.fold.rows import LogRow, TaskRow
from support.examples import LONG, examples, expect_no_fault
from support.fleet import HOSTS, Letter, Turn, Worker
from support.record import Record, Rows, a_record
from support.task_machine import PICK, TaskMachine, pick, shown, shown_of_run, truth, truth_of_run

#: What a run does about its cancel.
Manner = Literal["dies", "lives on", "completes"]
MANNERS = st.sampled_from(get_args(Manner))
#: What says when the record heard of something, or only orders rows.
OURS = {"updated_at", "heard_at", "asked_at", "vouched_at", "log_id", "key"}


@pytest.fixture
def record(database_url: str) -> Iterator[Record]:
    with a_record(database_url) as record:
        yield record


class Cancelling(TaskMachine):
    doubts = False

    def __init__(self, record: Record) -> None:
        record.empty()
        super().__init__(record)
        self.real = record
        #: Cancels that a host has yet to answer, and the tasks that it lets run no more.
        self.open: list[tuple[CancelTask, str]] = []
        self.refused: set[tuple[str, str]] = set()
        self.told += [self.fleet.seen(host) for host in HOSTS]
        record.write(self.heard())

    @initialize(twice=st.booleans())
    def a_task_was_delivered_twice(self, twice: bool) -> None:
        """It runs on both hosts, and somebody cancels it; or it never was."""
        if twice:
            self.fleet.queue.append(Letter("t1", again=True))
            for letter, place in ((self.fleet.queue[0], 0), (self.fleet.queue[-1], -1)):
                self.fleet.receive(letter, self.fleet.workers[place], late=True)
                self.fleet.start(self.fleet.turns[-1])
            self.a_cancel_is_given("t1")

    @rule(task_id=st.sampled_from(["t1", "t2"]))
    def a_cancel_is_given(self, task_id: str) -> None:
        self.fleet.wait(0)
        command = CancelTask(
            command_id=f"c{len(self.fleet.turns)}.{self.fleet.now.timestamp()}",
            issued_by="user:alice",
            issued_at=self.fleet.now,
            expires_at=self.fleet.now + timedelta(days=10_000),
            task_id=task_id,
        )
        self.untold.append(command)
        self.open += [(command, host) for host in HOSTS]

    @precondition(lambda self: self.open)
    @rule(place=PICK, manner=MANNERS, backwards=st.none() | st.booleans())
    def a_host_answers(self, place: int, manner: Manner, backwards: bool | None) -> None:
        """And all is told at once, or when it comes."""
        self._answer(place, manner)
        if backwards is not None:
            self.all_of_it_is_told(backwards=backwards)

    def _answer(self, place: int, manner: Manner) -> None:
        command, host = self.open.pop(place % len(self.open))
        self.refused.add((host, command.task_id))
        results = [self._ask(worker, command, manner) for worker in self.fleet.workers if worker.host == host]
        self.fleet.wait(0)
        done = CommandDone(
            at=self.fleet.now,
            host=host,
            command_id=command.command_id,
            verdict=verdict_of_host(results),
            task_id=command.task_id,
        )
        self.untold.append(done)

    @precondition(lambda self: self.refused_waiting)
    @rule(place=PICK)
    def a_refused_task_is_dropped(self, place: int) -> None:
        self.fleet.drop(pick(self.refused_waiting, place))

    def check(self) -> None:
        """Besides: told once more, in order and one by one, it comes to the same."""
        self._what_is_called_cancelled_does_not_run()
        if self.untold or self.lost:
            return
        self._what_was_told_is_shown()
        before = self._everything()
        self.real.empty()
        for message in sorted(self.told, key=lambda m: m.issued_at if isinstance(m, CancelTask) else m.at):
            self._write([message])
        assert self._everything() == before

    def _ask(self, worker: Worker, command: CancelTask, manner: Manner) -> Verdict:
        """What the agent of a worker answers in the end."""
        results: set[Verdict] = set()
        mine = [turn for turn in self.fleet.turns if turn.letter.task_id == command.task_id and turn.worker is worker]
        for turn in mine:
            if turn.waits:
                self.fleet.drop(turn)
                results.add("dropped")
            elif turn.runs:
                results.add(self._end(turn, command, manner))
            elif turn.outcome is not None and turn.instance == worker.instance:
                results.add("finished")
        order: list[Verdict] = ["alive", "cancelled", "dropped", "finished"]
        return next((result for result in order if result in results), "unknown")

    def _end(self, turn: Turn, command: CancelTask, manner: Manner) -> Verdict:
        self.fleet.knock(turn, command.command_id)
        match manner:
            case "dies":
                self.fleet.die(turn, command.command_id)
                return "cancelled"
            case "completes":
                self.fleet.succeed(turn)
                return "finished"
            case "lives on":
                return "alive"

    def lets_run(self, turn: Turn) -> bool:
        """What a host refuses it does not run."""
        return (turn.worker.host, turn.letter.task_id) not in self.refused

    @property
    def refused_waiting(self) -> list[Turn]:
        """What waits where it was refused."""
        return [turn for turn in self.waiting if not self.lets_run(turn)]

    def _what_is_called_cancelled_does_not_run(self) -> None:
        running = {(turn.letter.task_id, turn.key) for turn in self.running}
        rows: list[TaskRow | LogRow] = [*self.real.tasks().values(), *self.real.logs().values()]
        for row in rows:
            if row.confirmed and row.outcome == "cancelled":
                assert (row.task_id, row.run) not in running

    def _what_was_told_is_shown(self) -> None:
        """A task that waits is over as soon as nobody lets it run, whatever its turn says."""
        latest, attempts = self.fleet.latest(), self.fleet.attempts()
        for task_id, task in self.real.tasks().items():
            turn = latest[task_id]
            over = task.status in {"failed", "completed"} and (turn.status == "pending" or turn.started_at is None)
            assert over or shown(task) == truth(turn)
        for key, log in self.real.logs().items():
            assert not log.was_started or shown_of_run(log) == truth_of_run(attempts[key])

    def _everything(self) -> dict[str, Rows]:
        """All that must not depend on the order.

        A cancel of which no host said anything drops what is shown as waiting. Where the task comes to another end, it
        depends on which of the two is heard first whether it did, and how and when a task ended that never ran.
        """
        waits = {task_id for task_id, turn in self.fleet.latest().items() if turn.status == "pending"}
        keys = {
            "tasks": "task_id",
            "task_logs": "task_id || run",
            "commands": "command_id",
            "command_answers": "command_id || host",
        }
        tables = {table: self._rows(table, key) for table, key in keys.items()}
        for row in tables["commands"].values():
            if row["state"] in {"unknown", "dropped"} and row["target"] not in waits:
                row |= {"state": "not here", "detail": ""}
        began = {task_id + run for task_id, run in self.fleet.attempts()}
        tables["task_logs"] = {key: row for key, row in tables["task_logs"].items() if key in began}
        for row in tables["task_logs"].values():
            del row["attempt"]  # deliveries that never began are counted, too
        for task_id, turn in self.fleet.latest().items():
            if turn.started_at is None or turn.status == "pending":
                del tables["tasks"][task_id]
            else:
                del tables["tasks"][task_id]["attempt"]
        return tables

    def _rows(self, table: str, key: str) -> Rows:
        rows = self.real.rows(table, key)
        return {key: {name: value for name, value in row.items() if name not in OURS} for key, row in rows.items()}


@pytest.mark.timeout(LONG)
def test_cancels_come_to_the_same_in_whatever_order_they_and_what_they_do_is_told(record: Record) -> None:
    expect_no_fault(lambda: Cancelling(record), examples(60))
