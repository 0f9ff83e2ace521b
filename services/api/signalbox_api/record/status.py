"""Status of Celery: one word for the whole, one for the workers, one for beat, out of many processes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Literal

import msgspec

from signalbox.messages.base import ProcessState
from signalbox.messages.views import HostView, ProcessView, TaskView
from signalbox_api.record.vouching import Behind, Vouch

Overall = Literal["running", "degraded", "stopped", "unknown"]

_VOUCHED = Vouch()
_NEVER: Mapping[str, datetime] = MappingProxyType({})


class ProcessStatus(ProcessView, frozen=True, kw_only=True):
    """A process, and how it was last seen."""

    #: Its state in the record; `state` is `unknown` where that may not hold any more.
    last_state: ProcessState
    #: When its host last reported it, as far as that is in the record.
    confirmed_at: datetime | None


class HostStatus(HostView, frozen=True, kw_only=True):
    """A host with its processes, and whether Celery runs there."""

    celery: Overall
    processes: tuple[ProcessStatus, ...]
    #: When it last reported, as far as that is in the record.
    confirmed_at: datetime | None


class CeleryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether Celery runs: overall, by kind, and process by process."""

    celery: Overall
    worker: Overall
    beat: Overall
    hosts: tuple[HostStatus, ...]
    #: Every event until then is in the record; null: nobody has ever said so.
    as_of: datetime | None
    #: The parts that are behind or away. While there are any, every state is `unknown`.
    behind: tuple[Behind, ...]
    #: What is not listed, as a sentence; empty: nothing.
    note: str = ""


class TaskStatus(TaskView, frozen=True, kw_only=True):
    """A task, and when its status was last known to hold."""

    #: Null: nobody has ever said so.
    confirmed_at: datetime | None


def task_status(task: TaskView, vouch: Vouch, reported_at: Mapping[str, datetime] = _NEVER) -> TaskStatus:
    """The task as it is known now; `reported_at` is when each host last reported.

    One that is not over is confirmed only while somebody vouches for the record.
    """
    over = task.finished_at is not None
    fields = msgspec.structs.asdict(task) | {"confirmed": task.confirmed and (over or vouch.given)}
    seen = [at for at in (vouch.as_of, reported_at.get(task.host or "")) if at]
    return TaskStatus(**fields, confirmed_at=task.finished_at if over else min(seen, default=None))


def celery_status(
    hosts: Sequence[HostView],
    processes: Sequence[ProcessView],
    vouch: Vouch = _VOUCHED,
    reported_at: Mapping[str, datetime] = _NEVER,
) -> CeleryStatus:
    """The status; `reported_at` is when each host last reported.

    A process is unknown, whatever its last state was, when its host is silent, or when nobody vouches for the record.
    """
    known = hosts if vouch.given else [msgspec.structs.replace(host, state="unknown") for host in hosts]
    shown = tuple(_with_processes(host, processes, reported_at.get(host.name)) for host in known)
    counting = _counting(shown)
    none: Overall = "stopped" if any(host.state == "online" for host in known) else "unknown"
    return CeleryStatus(
        celery=overall([process.state for process in counting], none),
        worker=overall([process.state for process in counting if process.kind == "worker"], none),
        beat=overall([process.state for process in counting if process.kind == "beat"], none),
        hosts=shown,
        as_of=vouch.as_of,
        behind=vouch.behind,
    )


def _counting(hosts: Sequence[HostStatus]) -> Sequence[ProcessView]:
    """The processes that count for the whole.

    Left out are: a beat on standby, if there is another beat; processes that were stopped on a host whose controller
    has left since, if there are others; external workers, and processes that are not configured, that have ended.
    """
    there = [
        process for host in hosts if host.state != "offline" or host.celery != "stopped" for process in host.processes
    ]
    processes = [one for one in there or [one for host in hosts for one in host.processes] if not _departed(one)]
    active = [process for process in processes if not process.standby]
    return active if any(process.kind == "beat" for process in active) else processes


def _departed(process: ProcessView) -> bool:
    """Whether it has ended, and nobody here would start it again; nothing is wrong then."""
    return (process.guest or not process.configured) and process.state == "stopped"


def overall(states: Sequence[ProcessState], none: Overall) -> Overall:
    """One word for several states; `none` where there are no processes."""
    found = set(states)
    if not found:
        return none
    if found == {"running"}:
        return "running"
    if found <= {"stopped", "fatal"}:
        return "stopped"
    return "unknown" if found <= {"unknown", "stopped", "fatal"} else "degraded"


def _with_processes(host: HostView, processes: Sequence[ProcessView], reported_at: datetime | None) -> HostStatus:
    own = tuple(_as_known(host, process, reported_at) for process in processes if process.host == host.name)
    counting = [process for process in own if not _departed(process)]
    active = [process.state for process in counting if not process.standby]
    return HostStatus(
        name=host.name,
        state=host.state,
        seen_at=host.seen_at,
        proof=host.proof,
        proof_detail=host.proof_detail,
        clock_ahead=host.clock_ahead,
        celery=overall(
            active or [process.state for process in counting], "stopped" if host.state == "online" else "unknown"
        ),
        processes=own,
        confirmed_at=reported_at,
    )


def _as_known(host: HostView, process: ProcessView, reported_at: datetime | None) -> ProcessStatus:
    """The process as it is known now: unknown unless its host is online, or was left with the process stopped."""
    known = host.state == "online" or (host.state == "offline" and process.state == "stopped")
    fields = msgspec.structs.asdict(process) | {"state": process.state if known else "unknown"}
    return ProcessStatus(**fields, last_state=process.state, confirmed_at=reported_at)
