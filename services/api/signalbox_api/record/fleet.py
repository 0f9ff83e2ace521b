"""Fleet of the record: hosts and processes as they were last read, also while PostgreSQL is away."""

import asyncio
from collections.abc import Mapping

import msgspec

from signalbox.bus.presence import SILENCE_SHOWN
from signalbox.errors import DatabaseUnavailable
from signalbox_api.record.database import QueryPool
from signalbox_api.record.views import Fleet, read_fleet


def silenced(fleet: Fleet, heartbeat_ages: Mapping[str, float]) -> Fleet:
    """The fleet, in which no host is younger than its last heartbeat on the bus.

    A reconciler that catches up records reports late, and the record takes them for new ones.
    """
    hosts = [
        msgspec.structs.replace(host, state="unknown")
        if host.state == "online" and heartbeat_ages.get(host.name, 0.0) > SILENCE_SHOWN
        else host
        for host in fleet.hosts
    ]
    ages = {name: max(age, heartbeat_ages.get(name, 0.0)) for name, age in fleet.report_ages.items()}
    return msgspec.structs.replace(fleet, hosts=hosts, report_ages=ages)


class FleetReader:
    """Reads the fleet; while PostgreSQL is away it returns the last answer, with its age."""

    def __init__(self, record: QueryPool) -> None:
        self._record = record
        self._last: tuple[Fleet, float] | None = None

    async def read(self) -> tuple[Fleet, float]:
        """The fleet, and the seconds since it was read.

        Raises:
            DatabaseUnavailable: PostgreSQL is away and nothing was read before, or it answers too slowly.
        """
        now = asyncio.get_running_loop().time
        asked_at = now()
        try:
            self._last = await self._record.read(read_fleet), asked_at
        except DatabaseUnavailable:
            if self._record.health.up or self._last is None:
                raise
        fleet, read_at = self._last
        return fleet, now() - read_at
