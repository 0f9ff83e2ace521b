"""One controller to a host name: two would share its commands between them, and Celery's node names with them.

The name is held in Redis by the data folder, which a restarted controller uses again. Without Redis nobody can tell,
and supervision must not wait for it: then a second controller is noticed as soon as Redis is there.
"""

import asyncio
import contextlib
import socket
import uuid
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from signalbox.bus import names
from signalbox.bus.holding import hold, let_go
from signalbox.errors import BusUnavailable
from signalbox_controller.errors import NameTaken

#: Seconds for which a name is held without a sign of its holder.
LEASE = 6.0
#: Seconds between two signs, and between two looks of one who waits.
RENEW, LOOK = 2.0, 0.5
#: Seconds that a controller waits for a name to become free, and for Redis to say so.
PATIENCE, ANSWER = 7.0, 2.0


class HostName:
    """The name of this host, as far as it is ours."""

    def __init__(self, redis: Redis, host: str, state: Path) -> None:
        """`state` is the folder that tells us from another controller."""
        self._redis = redis
        self._host = host
        self._key = names.host_holder(host)
        self._name = f"{socket.gethostname()}:{state.parent} ({_identity(state / 'identity')})"

    async def take(self) -> None:
        """Take the name before anything is launched under it; a former life of another controller may hold it yet.

        Raises:
            NameTaken: another controller has it.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while True:
            try:
                async with asyncio.timeout(ANSWER):
                    return await self.renew()
            except NameTaken:
                if loop.time() > deadline:
                    raise
            except (BusUnavailable, RedisError, TimeoutError):
                return None
            await asyncio.sleep(LOOK)

    async def run(self) -> None:
        """Keep the name until cancelled.

        Raises:
            NameTaken: another controller has got it, while we or Redis were away.
        """
        while True:
            await asyncio.sleep(RENEW)
            with contextlib.suppress(BusUnavailable, RedisError):
                await self.renew()

    async def renew(self) -> None:
        """Take the name, or say that it is still ours.

        Raises:
            NameTaken: another controller has it.
            BusUnavailable: nobody knows.
        """
        holder = await hold(self._redis, self._key, self._name, LEASE)
        if holder != self._name:
            raise NameTaken(
                f"the host name {self._host} is that of another controller, {holder}; stop it, or give this host"
                " another name: SIGNALBOX_HOSTNAME, or `host` in signalbox.toml"
            )

    async def give_back(self) -> None:
        """Let another controller have it."""
        with contextlib.suppress(BusUnavailable, RedisError):
            await let_go(self._redis, self._key, self._name)


def _identity(path: Path) -> str:
    if not path.exists():
        path.write_text(uuid.uuid4().hex, encoding="ascii")
    return path.read_text(encoding="ascii").strip()
