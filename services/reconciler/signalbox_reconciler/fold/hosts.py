"""Hosts and their processes: events as rows."""

import logging
from datetime import datetime

from signalbox.messages.events import EventsLost, HostLeft, HostSeen, ProcessChanged
from signalbox_reconciler.fold.batch import Batch
from signalbox_reconciler.fold.rows import HostRow, ProcessRow, SnapshotRow

log = logging.getLogger(__name__)


def process_changed(event: ProcessChanged, batch: Batch) -> None:
    """A process changed its state."""
    batch.add_process(_process(event, event.host, event.at))


def host_seen(event: HostSeen, batch: Batch) -> None:
    """A heartbeat of a controller, with all that it supervises."""
    batch.add_host(HostRow(name=event.host, online=True, at=event.at))
    for process in event.processes:
        # The state may be older than this heartbeat, which confirms it.
        batch.add_process(_process(process, event.host, max(event.at, process.at)))
    batch.add_snapshot(
        SnapshotRow(
            host=event.host,
            at=event.at,
            interval=event.interval,
            processes=tuple(process.name for process in event.processes),
            running=event.running,
        )
    )


def host_left(event: HostLeft, batch: Batch) -> None:
    """A controller shut down."""
    batch.add_host(HostRow(name=event.host, online=False, at=event.at))


def events_lost(event: EventsLost, batch: Batch) -> None:  # noqa: ARG001 - a handler like the others
    """Log only: the next snapshots repair what can be repaired."""
    log.warning("%s on %s had to drop %d events while its controller was away", event.worker, event.host, event.count)


def _process(event: ProcessChanged, host: str, at: datetime) -> ProcessRow:
    return ProcessRow(
        host=host,
        name=event.name,
        kind=event.kind,
        state=event.state,
        desired=event.desired,
        instance=event.instance,
        pid=event.pid,
        node=event.node,
        since=event.since,
        exit_code=event.exit_code,
        message=event.message,
        kill_at=event.kill_at,
        standby=event.standby,
        guest=event.guest,
        at=at,
    )
