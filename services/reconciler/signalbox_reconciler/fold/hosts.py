"""Hosts and their processes: events as rows."""

import logging

import msgspec

from signalbox.messages.events import EventsLost, HostLeft, HostSeen, ProcessChanged, WaitingCompared
from signalbox_reconciler.fold.batch import Batch
from signalbox_reconciler.fold.repeats import clock_ahead
from signalbox_reconciler.fold.rows import HostRow

log = logging.getLogger(__name__)


def process_changed(event: ProcessChanged, batch: Batch) -> None:
    """A process changed its state."""
    batch.add(event)


def host_seen(event: HostSeen, batch: Batch) -> None:
    """A heartbeat of a controller, with all that it supervises."""
    proof, detail = event.proof, event.proof_detail
    ahead = clock_ahead(event)
    batch.add(HostRow(name=event.host, online=True, at=event.at, proof=proof, proof_detail=detail, clock_ahead=ahead))
    for process in event.processes:
        # The state may be older than this heartbeat, which confirms it.
        batch.add(msgspec.structs.replace(process, host=event.host, at=max(event.at, process.at)))
    batch.add(event)


def host_left(event: HostLeft, batch: Batch) -> None:
    """A controller shut down."""
    batch.add(HostRow(name=event.host, online=False, at=event.at))


def waiting_compared(event: WaitingCompared, batch: Batch) -> None:
    """A host compared waiting tasks with its workers and queues."""
    batch.add(event)


def events_lost(event: EventsLost, batch: Batch) -> None:  # noqa: ARG001 - a handler like the others
    """Log only: the next snapshots repair what can be repaired."""
    log.warning("%s on %s had to drop %d events while its controller was away", event.worker, event.host, event.count)
