"""Fold of a batch of events into the rows that they amount to; pure."""

from collections.abc import Callable, Iterable
from typing import Any

from signalbox.messages.events import (
    AnyEvent,
    CommandDone,
    CommandGiven,
    CommandRefused,
    Event,
    EventsLost,
    HostLeft,
    HostSeen,
    ProcessChanged,
    TaskCancelled,
    TaskDropped,
    TaskFailed,
    TaskRan,
    TaskReceived,
    TaskRequeued,
    TaskRetried,
    TaskSignalled,
    TaskStarted,
    TaskSucceeded,
    WaitingCompared,
)
from signalbox_reconciler.fold import answers, hosts, tasks
from signalbox_reconciler.fold.batch import Batch

#: Exactly one for each event; a test checks that.
EVENT_HANDLERS: dict[type[Event], Callable[[Any, Batch], None]] = {
    TaskReceived: tasks.received,
    TaskStarted: tasks.started,
    TaskSucceeded: tasks.succeeded,
    TaskRan: tasks.ran,
    TaskFailed: tasks.failed,
    TaskRetried: tasks.retried,
    TaskRequeued: tasks.requeued,
    TaskDropped: tasks.dropped,
    TaskSignalled: tasks.signalled,
    TaskCancelled: tasks.cancelled,
    EventsLost: hosts.events_lost,
    ProcessChanged: hosts.process_changed,
    HostSeen: hosts.host_seen,
    HostLeft: hosts.host_left,
    WaitingCompared: hosts.waiting_compared,
    CommandDone: answers.command_done,
    CommandRefused: answers.command_refused,
    CommandGiven: answers.command_given,
}


def fold(events: Iterable[AnyEvent]) -> Batch:
    """Fold events into rows, independent of their order."""
    batch = Batch()
    for event in events:
        EVENT_HANDLERS[type(event)](event, batch)
    batch.settle()
    return batch
