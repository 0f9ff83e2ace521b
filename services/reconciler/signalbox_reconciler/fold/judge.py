"""Pure: what a host's snapshot says of the runs that the record shows as running there.

Events may still be under way when a snapshot arrives, and a controller that has just started may not have heard
from its agents yet. So a run is given up only after it was missing for some heartbeats, and never as a fact that
somebody saw.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from signalbox_reconciler.fold.rows import SnapshotRow

#: Heartbeats that a run must be old before it can be missing, and missing before it is lost.
PATIENCE = 3


class RunningLog(msgspec.Struct, frozen=True, kw_only=True):
    """A run that the record shows as running."""

    task_id: str
    run: str
    host: str
    started_at: datetime | None
    confirmed: bool
    missing_since: datetime | None


class SeenRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that a host saw running, with what its key tells of it."""

    task_id: str
    run: str
    host: str
    at: datetime
    retries: int
    started_at: datetime
    pid: int


class Judgement(msgspec.Struct):
    """What to write: runs by task id and run, and the time of the snapshot that says so."""

    #: Not listed, and old enough to wonder.
    missing: dict[tuple[str, str], datetime] = {}
    #: Missing for too long.
    lost: dict[tuple[str, str], datetime] = {}
    #: Listed although it was doubted or missing.
    well: dict[tuple[str, str], datetime] = {}
    #: Listed, and not running in the record.
    unknown: list[SeenRun] = []


def judge(snapshots: Iterable[SnapshotRow], running: Iterable[RunningLog]) -> Judgement:
    """Compare what the record shows as running on some hosts with what these hosts list."""
    judgement = Judgement()
    by_host = {snapshot.host: snapshot for snapshot in snapshots}
    listed = {snapshot.host: set(snapshot.running) for snapshot in by_host.values()}
    for log in running:
        key = (log.task_id, log.run)
        if key in listed[log.host]:
            listed[log.host].remove(key)
            if log.missing_since or not log.confirmed:
                judgement.well[key] = by_host[log.host].at
        else:
            _miss(log, by_host[log.host], judgement)
    for host, runs in listed.items():
        judgement.unknown += filter(None, (_seen(by_host[host], *key) for key in runs))
    return judgement


def _miss(log: RunningLog, snapshot: SnapshotRow, judgement: Judgement) -> None:
    before = snapshot.at - timedelta(seconds=PATIENCE * snapshot.interval)
    if log.missing_since is None:
        if log.started_at is None or log.started_at < before:
            judgement.missing[log.task_id, log.run] = snapshot.at
    elif log.missing_since <= before:
        judgement.lost[log.task_id, log.run] = snapshot.at


def _seen(snapshot: SnapshotRow, task_id: str, run: str) -> SeenRun | None:
    """What the key of a run tells; none if it is not the key of a started run."""
    parts = run.split(".")
    if len(parts) != 4 or not (parts[0] + parts[1] + parts[3]).isdecimal():
        return None
    return SeenRun(
        task_id=task_id,
        run=run,
        host=snapshot.host,
        at=snapshot.at,
        retries=int(parts[0]),
        started_at=datetime.fromtimestamp(int(parts[1]) / 1000, tz=snapshot.at.tzinfo),
        pid=int(parts[3]),
    )
