"""Beats of the live connection: every two seconds, who vouches for what the page shows."""

import asyncio

from signalbox_api.live import frames
from signalbox_api.live.hub import Hub
from signalbox_api.live.tail import Tail
from signalbox_api.record.probes import Probes

#: Seconds between two beats.
EVERY = 2.0


class Beats:
    """Broadcasts a beat in rounds, so that silence means a lost connection."""

    def __init__(self, tail: Tail, hub: Hub, probes: Probes) -> None:
        self._tail = tail
        self._hub = hub
        self._probes = probes

    async def run(self) -> None:
        """Broadcast for ever."""
        while True:
            await asyncio.sleep(EVERY)
            self._hub.broadcast(self.frame())

    def frame(self) -> str:
        """The beat of this moment."""
        vouch = self._probes.vouch("redis", "database", "reconciler", "live")
        return frames.beat(self._tail.position, self._tail.record_age, vouch, bus=self._tail.connected)
