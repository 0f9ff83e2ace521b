"""Host name, held by one controller at a time: two would share its commands, and Celery's node names.

The holder in Redis is the data folder, which a restarted controller uses again. Without Redis supervision begins all
the same; a second controller is noticed as soon as Redis is there.
"""

import asyncio
import contextlib
import socket
import uuid
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from signalbox.bus import names
from signalbox.bus.lock import acquire, release
from signalbox.errors import BusUnavailable
from signalbox_controller.errors import NameTaken

#: Seconds after which the name of a holder that does not renew it is free.
LEASE = 6.0
#: Seconds between two renewals, and between two tries of a controller that waits.
RENEW, POLL = 2.0, 0.5
#: Seconds that a controller waits for a name to become free, and for an answer of Redis.
FREE_WITHIN, ANSWER_WITHIN = 7.0, 2.0


class HostName:
    """The name of this host, as this controller holds it."""

    def __init__(self, redis: Redis, host: str, state: Path) -> None:
        """`state` is the folder that identifies this controller."""
        self._redis = redis
        self._host = host
        self._key = names.host_holder(host)
        self._name = f"{socket.gethostname()}:{state.parent} ({_identity(state / 'identity')})"

    async def take(self) -> None:
        """Take the name before anything is launched under it; a controller that has ended may hold it a little longer.

        Raises:
            NameTaken: another controller has it.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + FREE_WITHIN
        while True:
            try:
                async with asyncio.timeout(ANSWER_WITHIN):
                    return await self.renew()
            except NameTaken:
                if loop.time() > deadline:
                    raise
            except (BusUnavailable, RedisError, TimeoutError):
                return None
            await asyncio.sleep(POLL)

    async def run(self) -> None:
        """Renew the name until cancelled.

        Raises:
            NameTaken: another controller took it while this one was suspended, or Redis away.
        """
        while True:
            await asyncio.sleep(RENEW)
            with contextlib.suppress(BusUnavailable, RedisError):
                await self.renew()

    async def renew(self) -> None:
        """Take the name, or renew it.

        Raises:
            NameTaken: another controller has it.
            BusUnavailable: Redis is away.
        """
        holder = await acquire(self._redis, self._key, self._name, LEASE)
        if holder != self._name:
            raise NameTaken(
                f"the host name {self._host} is that of another controller, {holder}; stop it, or give this host"
                " another name: SIGNALBOX_HOSTNAME, or `host` in signalbox.toml"
            )

    async def give_back(self) -> None:
        """Free the name."""
        with contextlib.suppress(BusUnavailable, RedisError):
            await release(self._redis, self._key, self._name)


def _identity(path: Path) -> str:
    if not path.exists():
        path.write_text(uuid.uuid4().hex, encoding="ascii")
    return path.read_text(encoding="ascii").strip()
