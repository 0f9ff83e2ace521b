"""Correction of the times in events: a host whose clock is off reports them by the clock of the bus. Pure."""

from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from signalbox.messages.events import Event, HostSeen

E = TypeVar("E", bound=Event)

#: The fields with times of this host; an ETA and the time of a question are those of others.
_OURS = ("at", "received_at", "started_at", "since", "kill_at")


def corrected(event: E, ahead: float) -> E:
    """The event of a host whose clock is `ahead` by so many seconds, with the times that a right clock would have."""
    if not ahead:
        return event
    by = timedelta(seconds=ahead)
    changes: dict[str, object] = {
        name: value - by for name in _OURS if isinstance(value := getattr(event, name, None), datetime)
    }
    if isinstance(event, HostSeen):
        changes["processes"] = tuple(corrected(process, ahead) for process in event.processes)
    return msgspec.structs.replace(event, **changes)
