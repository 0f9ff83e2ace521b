"""What many processes amount to: one word for Celery, one for the workers, one for beat."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from signalbox.messages.base import ProcessState
from signalbox.messages.views import HostView, ProcessView

Overall = Literal["running", "degraded", "stopped", "unknown"]


class HostStatus(HostView, frozen=True, kw_only=True):
    """A host with its processes."""

    processes: tuple[ProcessView, ...]


class CeleryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether Celery runs: overall, by kind, and process by process."""

    celery: Overall
    worker: Overall
    beat: Overall
    hosts: tuple[HostStatus, ...]


def celery_status(hosts: Sequence[HostView], processes: Sequence[ProcessView]) -> CeleryStatus:
    """The whole picture; a process of a host that is silent counts as unknown, whatever it last was."""
    online = {host.name for host in hosts if host.state == "online"}
    states = [(process.kind, _state(process, online)) for process in _counting(processes)]
    none: Overall = "stopped" if online else "unknown"
    return CeleryStatus(
        celery=overall([state for _, state in states], none),
        worker=overall([state for kind, state in states if kind == "worker"], none),
        beat=overall([state for kind, state in states if kind == "beat"], none),
        hosts=tuple(_with_processes(host, processes) for host in hosts),
    )


def _counting(processes: Sequence[ProcessView]) -> Sequence[ProcessView]:
    """Those that should run; a beat on standby should not, unless none does that it could stand by for."""
    counting = [process for process in processes if not process.standby]
    return counting if any(process.kind == "beat" for process in counting) else processes


def _state(process: ProcessView, online: set[str]) -> ProcessState:
    return process.state if process.host in online else "unknown"


def overall(states: Sequence[ProcessState], none: Overall) -> Overall:
    """One word for several: all run, none does, some do, nobody knows; `none` where there are no processes."""
    found = set(states)
    if not found:
        return none
    if found == {"running"}:
        return "running"
    if found <= {"stopped", "fatal"}:
        return "stopped"
    return "unknown" if found <= {"unknown", "stopped", "fatal"} else "degraded"


def _with_processes(host: HostView, processes: Sequence[ProcessView]) -> HostStatus:
    own = tuple(
        process if host.state == "online" else msgspec.structs.replace(process, state="unknown")
        for process in processes
        if process.host == host.name
    )
    return HostStatus(name=host.name, state=host.state, seen_at=host.seen_at, processes=own)
