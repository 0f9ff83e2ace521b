"""Lost tasks: each task that a dead worker held ends with an event, or its message goes back to its queue. Pure."""

from collections.abc import Sequence

import msgspec

from signalbox.messages.base import Outcome
from signalbox.messages.events import TaskFailed, TaskRequeued
from signalbox_controller import words
from signalbox_controller.agents.running import Run
from signalbox_controller.broker.redelivery import PendingRestore
from signalbox_controller.words import Order


class LostTasks(msgspec.Struct, frozen=True):
    """The last events of the tasks that a dead worker held, and its messages."""

    events: list[TaskFailed | TaskRequeued]
    #: The messages that are to be given back to their broker.
    restore: PendingRestore

    @property
    def failed(self) -> int:
        """How many tasks came to their end."""
        return sum(isinstance(event, TaskFailed) for event in self.events)


def lost_tasks(process: str, host: str, lost: Sequence[Run], end: str, order: Order | None) -> LostTasks:
    """A task that was lost has failed, unless Celery's own rules run it again and no order forbids it.

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
    acked_late = tuple(run.task_id for run in lost if run.acks_late)
    crashed, forget = acked_late if order is None else (), () if again else acked_late
    return LostTasks(events, PendingRestore(process=process, crashed=crashed, forget=forget))
