"""The leases of all applications whose beat this host may run."""

import asyncio

from redis.asyncio import Redis

from signalbox_controller.beat_lease.beat import Candidate
from signalbox_controller.beat_lease.fencing import Fences
from signalbox_controller.beat_lease.holder import Tenure
from signalbox_controller.beat_lease.record import Record
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.processes.context import HostContext
from signalbox_controller.processes.desired import Desired
from signalbox_controller.processes.supervisor import Supervised


class Leases:
    """Makes the supervised processes, those with a lease and those without; competes for the leases."""

    def __init__(self, redis: Redis, host: str, fences: Fences) -> None:
        self._redis = redis
        self._host = host
        self._fences = fences
        self._candidates: list[Candidate] = []

    def supervise(self, spec: ProcessSpec, context: HostContext, desired: Desired) -> Supervised:
        """One process of the configuration."""
        if not spec.lease:
            return Supervised(spec, context, desired)
        record = Record(self._redis, spec.label, self._fences.owner, self._host)
        candidate = Candidate(spec, context, desired, Tenure(record, self._fences, spec.label, spec.lease))
        self._candidates.append(candidate)
        return candidate

    async def run(self) -> None:
        """Compete, for ever."""
        await asyncio.gather(*(candidate.keep() for candidate in self._candidates))

    async def leave(self) -> None:
        """Give away what nobody here needs any more."""
        await asyncio.gather(*(candidate.give_up() for candidate in self._candidates))
