"""The leases of all applications whose beat this host may run."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial

from redis.asyncio import Redis

from signalbox.service import background
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
        self._new: asyncio.Queue[tuple[LeaseHolder, LeasedBeat]] = asyncio.Queue()

    def supervise(
        self, spec: ProcessSpec, context: HostContext, desired: Desired, *, configured: bool = True
    ) -> Supervised:
        """One process: of the configuration, or one that it does not name any more."""
        if not spec.lease:
            return Supervised(spec, context, desired, configured=configured)
        record = LeaseRecord(self._redis, spec.label, self._fencing_tokens.owner, self._host)
        holder = LeaseHolder(record, self._fencing_tokens, spec.label, spec.lease)
        beat = LeasedBeat(spec, context, desired, holder, configured=configured)
        if not configured and any(other.spec.label == spec.label for _, other in self._beats):
            beat.competes = False  # the lease is for the one that is configured
        self._beats.append((holder, beat))
        self._new.put_nowait((holder, beat))
        return beat

    async def run(self) -> None:
        """Compete, for ever, also for the leases of beats that are added meanwhile."""
        async with AsyncExitStack() as stack:
            while True:
                holder, beat = await self._new.get()
                await stack.enter_async_context(background(partial(holder.run, beat)))

    async def release_all(self) -> None:
        """Give away what nobody here needs any more."""
        await asyncio.gather(*(holder.leave(beat) for holder, beat in self._beats))
