"""Snapshots of hosts compared with the runs that the record shows as running there; pure.

A snapshot may overtake events, and a controller that has just started may not be connected to its agents yet. So a
run is given up only after it was missing for some heartbeats, and its end is never marked as confirmed.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

import msgspec

from signalbox.messages.events import HostSeen

#: Heartbeats that a run must be old before it can be missing, and missing before it is lost.
MISSED_HEARTBEATS = 3
#: The same while events of its host are known to be missing: they come again, perhaps with the end of the run.
MISSED_WITH_EVENTS = 30


class RecordedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that the record shows as running."""

    task_id: str
    run: str
    host: str
    started_at: datetime | None
    confirmed: bool
    missing_since: datetime | None


class ListedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that a host lists as running, with the parts of its key."""

    task_id: str
    run: str
    host: str
    at: datetime
    retries: int
    started_at: datetime
    pid: int


class Difference(msgspec.Struct):
    """Corrections of the record: runs by task id and run, with the time of the snapshot."""

    #: Not listed, although old enough.
    missing: dict[tuple[str, str], datetime] = {}
    #: Missing for too many heartbeats.
    lost: dict[tuple[str, str], datetime] = {}
    #: Listed, and unconfirmed or missing in the record.
    confirmed: dict[tuple[str, str], datetime] = {}
    #: Listed, and not running in the record.
    unrecorded: list[ListedRun] = []


def compare(
    snapshots: Iterable[HostSeen], running: Iterable[RecordedRun], incomplete: Collection[str] = ()
) -> Difference:
    """Compare what the record shows as running on some hosts with what these hosts list.

    Of hosts that are `incomplete`, events are known to be missing.
    """
    difference = Difference()
    by_host = {snapshot.host: snapshot for snapshot in snapshots}
    listed = {snapshot.host: set(snapshot.running) for snapshot in by_host.values()}
    for log in running:
        key = (log.task_id, log.run)
        if key in listed[log.host]:
            listed[log.host].remove(key)
            if log.missing_since or not log.confirmed:
                difference.confirmed[key] = by_host[log.host].at
        else:
            _mark_missing(log, by_host[log.host], difference, patient=log.host in incomplete)
    for host, runs in listed.items():
        difference.unrecorded += filter(None, (_listed(by_host[host], *key) for key in runs))
    return difference


def _mark_missing(log: RecordedRun, snapshot: HostSeen, difference: Difference, *, patient: bool) -> None:
    before = snapshot.at - timedelta(seconds=MISSED_HEARTBEATS * snapshot.interval)
    lost_before = snapshot.at - timedelta(seconds=MISSED_WITH_EVENTS * snapshot.interval) if patient else before
    if log.missing_since is None:
        if log.started_at is None or log.started_at < before:
            difference.missing[log.task_id, log.run] = snapshot.at
    elif log.missing_since <= lost_before:
        difference.lost[log.task_id, log.run] = snapshot.at


def _listed(snapshot: HostSeen, task_id: str, run: str) -> ListedRun | None:
    """The run with the parts of its key; None unless it is the key of a started run."""
    parts = run.split(".")
    if len(parts) != 4 or not (parts[0] + parts[1] + parts[3]).isdecimal():
        return None
    return ListedRun(
        task_id=task_id,
        run=run,
        host=snapshot.host,
        at=snapshot.at,
        retries=int(parts[0]),
        started_at=datetime.fromtimestamp(int(parts[1]) / 1000, tz=snapshot.at.tzinfo),
        pid=int(parts[3]),
    )
