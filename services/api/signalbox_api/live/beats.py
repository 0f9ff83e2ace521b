"""Beats of the live connection: every two seconds, who vouches for what the page shows."""

import asyncio
from datetime import datetime

from signalbox_api.live import frames
from signalbox_api.live.hub import Hub
from signalbox_api.live.tail import Tail
from signalbox_api.live.watcher import Frame
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
            self._hub.beat(self.frame(self._tail.position), self._counting, self._resync)

    def frame(self, position: str) -> str:
        """The beat of this moment, for a browser that has reached this position."""
        vouch = self._probes.vouch("redis", "database", "reconciler", "live")
        return frames.beat(position, self._tail.record_age, vouch, bus=self._tail.connected)

    def _counting(self, left_out: int, since: datetime) -> Frame:
        return Frame(frames.counting(left_out, since, bus=self._tail.connected))

    def _resync(self) -> Frame:
        return Frame(frames.hello(self._tail.position, resync=True))
