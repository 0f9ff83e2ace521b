"""Status of Celery: one word for the whole, one for the workers, one for beat, out of many processes."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from signalbox.messages.base import ProcessState
from signalbox.messages.views import HostView, ProcessView

Overall = Literal["running", "degraded", "stopped", "unknown"]


class HostStatus(HostView, frozen=True, kw_only=True):
    """A host with its processes, and whether Celery runs there."""

    celery: Overall
    processes: tuple[ProcessView, ...]


class CeleryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether Celery runs: overall, by kind, and process by process."""

    celery: Overall
    worker: Overall
    beat: Overall
    hosts: tuple[HostStatus, ...]


def celery_status(hosts: Sequence[HostView], processes: Sequence[ProcessView]) -> CeleryStatus:
    """The status; a process of a host that is silent is unknown, whatever its last state was."""
    shown = tuple(_with_processes(host, processes) for host in hosts)
    counting = _counting(shown)
    none: Overall = "stopped" if any(host.state == "online" for host in hosts) else "unknown"
    return CeleryStatus(
        celery=overall([process.state for process in counting], none),
        worker=overall([process.state for process in counting if process.kind == "worker"], none),
        beat=overall([process.state for process in counting if process.kind == "beat"], none),
        hosts=shown,
    )


def _counting(hosts: Sequence[HostStatus]) -> Sequence[ProcessView]:
    """The processes that count for the whole.

    Left out are: a beat on standby, if there is another beat; processes that were stopped on a host whose controller
    has left since, if there are others; external workers that have ended.
    """
    there = [
        process for host in hosts if host.state != "offline" or host.celery != "stopped" for process in host.processes
    ]
    processes = [one for one in there or [one for host in hosts for one in host.processes] if not _departed(one)]
    active = [process for process in processes if not process.standby]
    return active if any(process.kind == "beat" for process in active) else processes


def _departed(process: ProcessView) -> bool:
    """Whether it is an external worker that has ended; nothing is wrong then."""
    return process.guest and process.state == "stopped"


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


def _with_processes(host: HostView, processes: Sequence[ProcessView]) -> HostStatus:
    own = tuple(_as_known(host, process) for process in processes if process.host == host.name)
    counting = [process for process in own if not _departed(process)]
    active = [process.state for process in counting if not process.standby]
    return HostStatus(
        name=host.name,
        state=host.state,
        seen_at=host.seen_at,
        proof=host.proof,
        proof_detail=host.proof_detail,
        celery=overall(
            active or [process.state for process in counting], "stopped" if host.state == "online" else "unknown"
        ),
        processes=own,
    )


def _as_known(host: HostView, process: ProcessView) -> ProcessView:
    """The process as it is known now: unknown unless its host is online, or was left with the process stopped."""
    known = host.state == "online" or (host.state == "offline" and process.state == "stopped")
    return process if known else msgspec.structs.replace(process, state="unknown")
