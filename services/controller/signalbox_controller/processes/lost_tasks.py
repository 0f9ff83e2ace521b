"""Pure: what a worker's end means for the tasks that ended with it."""

from collections.abc import Sequence

import msgspec

from signalbox.messages.base import Outcome
from signalbox.messages.events import TaskFailed, TaskRequeued
from signalbox_controller import words
from signalbox_controller.agents.running import Run
from signalbox_controller.broker.redelivery import PendingRestore
from signalbox_controller.words import Order


class Reckoning(msgspec.Struct, frozen=True):
    """What to tell, and what the broker must hear of it."""

    events: list[TaskFailed | TaskRequeued]
    debt: PendingRestore

    @property
    def failed(self) -> int:
        """How many tasks came to their end."""
        return sum(isinstance(event, TaskFailed) for event in self.events)


def reckon(process: str, host: str, lost: Sequence[Run], end: str, order: Order | None) -> Reckoning:
    """What ran and is dead now has failed, unless Celery's own rules run it again and no order forbids it.

    Args:
        process: the worker's name.
        host: where it ran.
        lost: the runs that nobody will report about any more.
        end: how the worker ended, in words.
        order: who stopped it, if somebody did.
    """
    outcome: Outcome = "stopped" if order else "worker_lost"
    error = words.stopped(order) if order else words.lost(end)
    again = order is None or order.redeliver
    events = [
        run.requeued(host, outcome, f"{error}; given back to its queue, to be run again")
        if again and run.acks_late
        else run.failed(host, outcome, error)
        for run in lost
    ]
    late = tuple(run.task_id for run in lost if run.acks_late)
    return Reckoning(
        events,
        PendingRestore(process=process, crashed=late if order is None else (), forget=() if again else late),
    )
