"""The leases of all applications whose beat this host may run."""

import asyncio
from functools import partial

from redis.asyncio import Redis

from signalbox.service import run_all
from signalbox_controller.beat_lease.beat import LeasedBeat
from signalbox_controller.beat_lease.fencing import FencingTokens
from signalbox_controller.beat_lease.holder import LeaseHolder
from signalbox_controller.beat_lease.record import LeaseRecord
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.processes.context import HostContext
from signalbox_controller.processes.desired import Desired
from signalbox_controller.processes.supervisor import Supervised


class Leases:
    """Makes the supervised processes, those with a lease and those without; competes for the leases."""

    def __init__(self, redis: Redis, host: str, fencing_tokens: FencingTokens) -> None:
        self._redis = redis
        self._host = host
        self._fencing_tokens = fencing_tokens
        self._beats: list[tuple[LeaseHolder, LeasedBeat]] = []

    def supervise(self, spec: ProcessSpec, context: HostContext, desired: Desired) -> Supervised:
        """One process of the configuration."""
        if not spec.lease:
            return Supervised(spec, context, desired)
        record = LeaseRecord(self._redis, spec.label, self._fencing_tokens.owner, self._host)
        holder = LeaseHolder(record, self._fencing_tokens, spec.label, spec.lease)
        beat = LeasedBeat(spec, context, desired, holder)
        self._beats.append((holder, beat))
        return beat

    async def run(self) -> None:
        """Compete, for ever."""
        await run_all(*(partial(holder.run, beat) for holder, beat in self._beats))

    async def release_all(self) -> None:
        """Give away what nobody here needs any more."""
        await asyncio.gather(*(holder.leave(beat) for holder, beat in self._beats))
