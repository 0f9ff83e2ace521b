"""Lost tasks: each task that a dead worker held ends with an event, or its message goes back to its queue. Pure."""

from collections.abc import Iterable
from itertools import chain

import msgspec

from signalbox.messages.base import Outcome
from signalbox.messages.events import TaskFailed, TaskRequeued
from signalbox_agent.child.slot_state import REQUEUED
from signalbox_controller import words
from signalbox_controller.agents.running import HeldRuns, Run, RunEnd
from signalbox_controller.broker.redelivery import PendingRestore
from signalbox_controller.words import Order


class LostTasks(msgspec.Struct, frozen=True):
    """The last events of the tasks that a dead worker held, and its messages."""

    events: list[RunEnd]
    #: The messages that are to be given back to their broker.
    restore: PendingRestore
    #: How many tasks failed because it died.
    failed: int


def lost_tasks(process: str, host: str, held: HeldRuns, end: str, order: Order | None) -> LostTasks:
    """A task that was lost has failed, unless Celery's own rules run it again and no order forbids it.

    One that had ended by itself is as it ended, and does not run again.

    Args:
        process: the worker's name.
        host: where it ran.
        held: what it held.
        end: how the worker ended, in words.
        order: who stopped it, if somebody did.
    """
    lost = [*held.lost, *(run for run, state in held.unseen if not state.stored)]
    last = [_last(run, host, end, order) for run in lost]
    ended = chain(held.ended, ((run, state) for run, state in held.unseen if state.stored))
    events: list[RunEnd] = [*(run.ended(host, state) for run, state in ended), *last]
    again = _again(order)
    died = (run for run, state in held.concluded if state is None)
    acked_late = tuple(run.task_id for run in chain(lost, died) if run.acks_late)
    crashed, forget = acked_late if order is None else (), () if again else acked_late
    restore = PendingRestore(process=process, crashed=crashed, forget=forget, finished=tuple(_finished(held)))
    return LostTasks(events, restore, sum(isinstance(event, TaskFailed) for event in last))


def _again(order: Order | None) -> bool:
    return order is None or order.redeliver


def _last(run: Run, host: str, end: str, order: Order | None) -> TaskFailed | TaskRequeued:
    """The event of a run that was lost."""
    outcome: Outcome = "stopped" if order else "worker_lost"
    error = words.stopped(order) if order else words.lost(end)
    if _again(order) and run.acks_late:
        return run.requeued(host, outcome, f"{error}; given back to its queue, to be run again")
    return run.failed(host, outcome, error)


def _finished(held: HeldRuns) -> Iterable[tuple[str, int]]:
    """The runs whose messages are to be acknowledged, if the worker has not done so."""
    for run, state in (*held.ended, *held.concluded):
        if run.acks_late and state is not None and state.word != REQUEUED:
            yield run.task_id, run.retries
    for run, state in held.unseen:  # Celery acknowledges one that is not acknowledged late as soon as it has begun
        if state.word != REQUEUED if state.stored else not run.acks_late:
            yield run.task_id, run.retries
