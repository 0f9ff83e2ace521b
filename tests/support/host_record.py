"""The record of hosts: what it makes of heartbeats, goodbyes and silence."""

from collections.abc import Sequence
from typing import Any

import msgspec

from signalbox.messages.base import ProcessState
from signalbox.messages.commands import ForgetHosts
from signalbox.messages.events import HostSeen, ProcessChanged
from signalbox.messages.views import Change
from signalbox.postgres.pool import Database
from support.history import HOST, Run, after
from support.written_record import WrittenRecord


class HostRecord(WrittenRecord):
    """The record of hosts, with time that passes at a word."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, lost_after=60.0, forget_after=7200.0)

    async def silence(self, seconds: int = 11) -> Sequence[Change]:
        """What is looked at after so many seconds in which nothing was heard."""
        await self.run("UPDATE hosts SET heard_at = heard_at - make_interval(secs => $1)", seconds)
        return await self.sweep()

    async def forget(self, *hosts: str) -> Sequence[Change]:
        """Have a person forget them."""
        heading = {"command_id": "f1", "issued_by": "user:alice", "issued_at": after(3), "expires_at": after(60)}
        return await self.commands(ForgetHosts(**heading, hosts=hosts))  # type: ignore[arg-type]

    async def age_gone(self, seconds: int) -> None:
        """Have them gone for so many seconds more."""
        await self.run("UPDATE hosts SET gone_at = gone_at - make_interval(secs => $1)", seconds)


def worker(state: ProcessState, seconds: float) -> ProcessChanged:
    """A worker of the host, in this state since then."""
    return ProcessChanged(at=after(seconds), host=HOST, name="worker", kind="worker", state=state, desired="running")


def beat(seconds: float, *runs: Run, processes: Sequence[ProcessChanged] = ()) -> HostSeen:
    """A heartbeat of the host, on which these runs of `t1` are."""
    running = tuple(("t1", run.key) for run in runs)
    return HostSeen(at=after(seconds), host=HOST, running=running, processes=tuple(processes))


def kinds(changes: Sequence[Change]) -> set[str]:
    """What has changed."""
    return {change.kind for change in changes}


def row_of(change: Change) -> Any:
    """The row as it is published."""
    return msgspec.json.decode(change.row)
