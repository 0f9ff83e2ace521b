"""What a task's row says after the events of its life, in whatever order they came."""

from collections.abc import Iterable
from itertools import permutations
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.messages.base import Message
from signalbox.messages.events import AnyEvent, AnyTaskEvent, TaskReceived
from signalbox_reconciler.fold import EVENT_HANDLERS, fold
from signalbox_reconciler.fold.batch import Batch
from signalbox_reconciler.fold.liveliest import Run
from signalbox_reconciler.fold.rows import LogRow, Phase, TaskRow, WaitRow
from support.history import KILLED, WORKER, Life, after, deliveries, lives
from support.streams import parts_of

LIFE = Life()
RUN = LIFE.run(2)


def the_task(*events: AnyTaskEvent) -> TaskRow:
    return fold(events).tasks["t1"]


def the_log(*events: AnyTaskEvent) -> LogRow:
    [log] = fold(events).logs.values()
    return log


def orders(*events: AnyTaskEvent) -> list[tuple[AnyTaskEvent, ...]]:
    return list(permutations(events))


def rows_of(batch: Batch) -> object:
    rows: list[Run] = [*batch.logs.values(), *batch.waits.values()]
    return msgspec.to_builtins([batch.tasks, {f"{row.task_id}/{row.run}": row for row in rows}])


def merged(batches: Iterable[list[AnyTaskEvent]]) -> Batch:
    """What the table holds after these batches, if its SQL merges as the fold does."""
    table = Batch()
    for batch in batches:
        _add(table, fold(batch))
    return table


def _add(table: Batch, batch: Batch) -> None:
    rows: list[TaskRow | LogRow | WaitRow] = [*batch.tasks.values(), *batch.logs.values(), *batch.waits.values()]
    for row in rows:
        table.add(row)
    table.settle()


@given(deliveries())
def test_a_whole_run_amounts_to_its_parts(told: tuple[list[AnyTaskEvent], object]) -> None:
    events, _ = told
    parts = [part for event in events for part in parts_of(event)]
    assert rows_of(fold(events)) == rows_of(fold(parts))


def test_each_event_has_exactly_one_handler() -> None:
    assert set(EVENT_HANDLERS) == set(get_args(AnyEvent))
    assert all(issubclass(kind, Message) for kind in EVENT_HANDLERS)


def test_a_received_task_is_pending_on_its_worker() -> None:
    task = the_task(LIFE.received(1))
    assert (task.status, task.outcome, task.worker, task.queue) == ("pending", None, WORKER, "orders")
    assert fold([LIFE.received(1)]).logs == {}


def test_a_started_task_is_running_with_the_pid_of_its_child() -> None:
    task = the_task(LIFE.received(1), RUN.started())
    assert (task.status, task.pid, task.started_at, task.created_at) == ("running", 100, after(2), after(1))


@pytest.mark.parametrize("events", orders(LIFE.received(1), RUN.started(), RUN.succeeded(3)))
def test_a_completed_task_is_completed_in_whatever_order_its_events_come(events: tuple[AnyTaskEvent, ...]) -> None:
    task = the_task(*events)
    assert (task.status, task.outcome, task.confirmed) == ("completed", "succeeded", True)
    assert (task.created_at, task.started_at, task.finished_at) == (after(1), after(2), after(3))
    assert (task.pid, task.queue, task.args) == (100, "orders", "(1,)")


def test_an_end_that_was_told_late_is_shown_at_its_own_time() -> None:
    late = msgspec.structs.replace(RUN.succeeded(40), runtime=3.5)
    for row in (the_task(RUN.started(), late), the_log(RUN.started(), late)):
        assert row.finished_at == after(5.5)


def test_an_end_that_does_not_tell_of_the_start_keeps_what_was_told() -> None:
    for events in orders(RUN.started(), RUN.failed(3)):
        for row in (the_task(*events), the_log(*events)):
            assert (row.started_at, row.pid) == (after(2), 100)


def test_a_failed_task_shows_its_error_and_its_log_the_traceback() -> None:
    events = (RUN.started(), RUN.failed(3))
    assert (the_task(*events).status, the_task(*events).error) == ("failed", "ValueError('no')")
    assert (the_log(*events).status, the_log(*events).traceback) == ("failed", "Traceback")


def test_a_cancelled_task_and_its_log_say_so_with_a_finish_time() -> None:
    for events in orders(RUN.started(), RUN.signalled(3), RUN.cancelled(4)):
        for row in (the_task(*events), the_log(*events)):
            assert (row.status, row.outcome, row.error, row.finished_at) == ("failed", "cancelled", KILLED, after(4))
        assert (the_task(*events).cancel_signal, the_task(*events).cancel_kill_at) == ("TERM", None)


def test_a_signal_shows_when_kill_follows_until_kill_was_sent() -> None:
    term, kill = RUN.signalled(3), RUN.signalled(8, "KILL", None)
    assert (the_task(term).cancel_signal, the_task(term).cancel_kill_at) == ("TERM", after(8))
    for events in orders(RUN.started(), term, kill):
        task = the_task(*events)
        assert (task.status, task.cancel_signal, task.cancel_kill_at) == ("running", "KILL", None)


def test_a_task_that_ended_by_itself_after_a_signal_still_shows_the_signal() -> None:
    for events in orders(RUN.started(), RUN.signalled(3), RUN.succeeded(4)):
        task = the_task(*events)
        assert (task.status, task.cancel_signal, task.cancel_kill_at) == ("completed", "TERM", None)


def test_a_dropped_task_is_cancelled_and_its_log_says_that_it_never_ran() -> None:
    batch = fold([LIFE.received(1), LIFE.dropped(2)])
    assert (batch.tasks["t1"].status, batch.tasks["t1"].outcome, batch.waits) == ("failed", "cancelled", {})
    [log] = batch.logs.values()
    assert (log.status, log.outcome, log.started_at, log.pid, log.was_started) == (
        "failed",
        "cancelled",
        None,
        None,
        False,
    )


def test_a_retried_task_is_pending_and_its_attempt_failed() -> None:
    events = (RUN.started(), RUN.retried(3))
    assert (the_task(*events).status, the_task(*events).error) == ("pending", "Busy()")
    assert (the_log(*events).status, the_log(*events).outcome, the_log(*events).error) == ("failed", "error", "Busy()")


def test_a_requeued_task_is_pending_and_its_attempt_over() -> None:
    events = (RUN.started(), RUN.requeued(3))
    assert the_task(*events).status == "pending"
    assert (the_log(*events).status, the_log(*events).outcome) == ("failed", "rejected")


def test_a_run_that_ended_with_its_worker_says_so_though_its_task_runs_again() -> None:
    ended = msgspec.structs.replace(RUN.requeued(3), outcome="worker_lost", error="Worker lost: exit code 1")
    log = the_log(RUN.started(), ended)
    assert (log.status, log.outcome, log.error) == ("failed", "worker_lost", "Worker lost: exit code 1")
    assert the_task(RUN.started(), ended).status == "pending"


def test_a_later_run_wins_over_an_earlier_one_that_is_told_later() -> None:
    second = LIFE.run(12, retries=1, pid=101)
    task = the_task(second.started(), RUN.started(), RUN.retried(3), LIFE.received(1))
    assert (task.status, task.pid, task.started_at, task.retries) == ("running", 101, after(12), 1)
    assert task.created_at == after(1)


def test_a_redelivered_task_that_runs_again_is_running_again() -> None:
    task = the_task(RUN.started(), RUN.failed(3), LIFE.run(9, pid=101).started())
    assert (task.status, task.outcome, task.error, task.finished_at) == ("running", None, None, None)


def test_of_two_ends_of_one_run_the_first_one_stays() -> None:
    for events in orders(RUN.succeeded(3), RUN.cancelled(4)):
        assert the_task(*events).outcome == the_log(*events).outcome == "succeeded"


def test_a_task_keeps_the_arguments_of_its_latest_delivery() -> None:
    first, second = LIFE.received(1, args="(1,)"), LIFE.received(9, retries=1, args="(2,)")
    for events in orders(first, RUN.started(), RUN.retried(3), second):
        assert the_task(*events).args == "(2,)"


@given(deliveries())
def test_no_order_no_repetition_and_no_batching_changes_the_result(
    delivery: tuple[list[AnyTaskEvent], list[list[AnyTaskEvent]]],
) -> None:
    events, batches = delivery
    expected = rows_of(fold(events))
    assert rows_of(fold(event for batch in batches for event in batch)) == expected
    assert rows_of(merged(batches)) == expected


@given(lives(), st.data())
def test_an_end_never_goes_back_within_a_run(events: list[AnyTaskEvent], data: st.DataObject) -> None:
    table = Batch()
    ended: set[str] = set()
    for event in data.draw(st.permutations(events)):
        _add(table, fold([event]))
        for (_, run), log in table.logs.items():
            assert log.outcome is not None or run not in ended, f"{run} had ended"
        ended = {run for (_, run), log in table.logs.items() if log.outcome is not None}


@given(lives())
def test_what_was_inferred_never_beats_what_was_seen(events: list[AnyTaskEvent]) -> None:
    table, seen = fold(events), rows_of(fold(events))
    for log in fold(events).logs.values():
        for phase in range(Phase.STARTED, (Phase.FINISHED if log.over else log.phase) + 1):
            given_up = {"confirmed": False, "phase": phase, "precedence": 2**62, "status": "failed"}
            inferred = msgspec.structs.replace(log, **given_up, outcome="worker_lost", error="nobody knows")
            table.add(inferred)
            table.settle()
            assert rows_of(table) == seen


def test_a_retry_that_is_told_late_overrules_that_the_run_was_given_up() -> None:
    for told in (RUN.retried(3), RUN.requeued(3)):
        table = fold([RUN.started()])
        given_up = fold([RUN.failed(9)])
        for row in (*given_up.tasks.values(), *given_up.logs.values()):
            row.confirmed = False
        for batch in (given_up, fold([told])):
            _add(table, batch)
        assert (table.tasks["t1"].status, table.tasks["t1"].confirmed) == ("pending", True)
        assert [(log.confirmed, log.finished_at) for log in table.logs.values()] == [(True, after(3))]


def test_a_run_that_was_signalled_and_gave_its_task_back_awaits_no_kill() -> None:
    for events in orders(RUN.started(), RUN.signalled(3), RUN.requeued(4)):
        assert (the_task(*events).cancel_signal, the_task(*events).cancel_kill_at) == ("TERM", None)


@given(lives())
def test_a_task_was_created_when_anybody_first_saw_anything_of_it(events: list[AnyTaskEvent]) -> None:
    parts = [part for event in events for part in parts_of(event)]
    first = min(min(event.at, getattr(event, "started_at", None) or event.at) for event in parts)
    assert fold(events).tasks["t1"].created_at == first


@given(lives())
def test_what_was_started_or_has_ended_has_a_log_and_what_only_waits_has_none(events: list[AnyTaskEvent]) -> None:
    runs = {event.run for event in events if not isinstance(event, TaskReceived)}
    assert {run for _, run in fold(events).logs} == runs
