"""Servers in containers, where a Docker engine answers."""

import asyncio
import os
import time
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from signalbox_local.ports import HOST, free_port
from signalbox_local.processes.waiting import until
from signalbox_local.stores.external import postgres_answers, redis_answers

POSTGRES_IMAGE = "postgres:18-alpine"
REDIS_IMAGE = "redis:8-alpine"
#: Seconds until a server in a container must answer, once its image is there.
_PATIENCE = 60.0


def engine_answers() -> bool:
    """Whether there is a Docker engine that we may use."""
    if not os.environ.get("DOCKER_HOST") and not Path("/var/run/docker.sock").exists():
        return False
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=3)
        client.ping()
    except (DockerException, OSError):
        return False
    return True


class _Container:
    """A container on a port of our choice, so that it has the same one after a restart."""

    def __init__(self, image: str, inner_port: int, environ: dict[str, str], command: str = "") -> None:
        from testcontainers.core.container import DockerContainer

        self.port = free_port()
        self._container: Any = DockerContainer(image).with_bind_ports(inner_port, self.port)
        for name, value in environ.items():
            self._container = self._container.with_env(name, value)
        if command:
            self._container = self._container.with_command(command)
        self._made = False

    async def start(self) -> None:
        await asyncio.to_thread(self._start)

    async def stop(self) -> None:
        await asyncio.to_thread(self._container.get_wrapped_container().stop)

    async def kill(self) -> None:
        await asyncio.to_thread(self._container.get_wrapped_container().kill)

    async def remove(self) -> None:
        """Throw it away."""
        await asyncio.to_thread(self._container.stop)

    def _start(self) -> None:
        if self._made:
            self._container.get_wrapped_container().start()
        else:
            self._container.start()
            self._made = True


class DockerPostgres:
    """PostgreSQL in a container."""

    def __init__(self) -> None:
        self._password = token_urlsafe(16)
        self._box = _Container(POSTGRES_IMAGE, 5432, {"POSTGRES_PASSWORD": self._password})

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgresql://postgres:{self._password}@{HOST}:{self._box.port}/{database}"

    async def start(self) -> None:
        await self._box.start()
        assert await until(lambda: postgres_answers(self.url), time.monotonic() + _PATIENCE), "PostgreSQL in Docker"

    async def stop(self) -> None:
        await self._box.stop()

    async def kill(self) -> None:
        await self._box.kill()

    async def remove(self) -> None:
        """Throw it away."""
        await self._box.remove()


class DockerRedis:
    """Redis in a container."""

    def __init__(self) -> None:
        self._password = token_urlsafe(16)
        self._box = _Container(REDIS_IMAGE, 6379, {}, f"redis-server --requirepass {self._password}")

    @property
    def url(self) -> str:
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        return f"redis://:{self._password}@{HOST}:{self._box.port}/{database}"

    async def start(self) -> None:
        await self._box.start()
        assert await until(lambda: redis_answers(self.url), time.monotonic() + _PATIENCE), "Redis in Docker"

    async def stop(self) -> None:
        await self._box.stop()

    async def kill(self) -> None:
        await self._box.kill()

    async def remove(self) -> None:
        """Throw it away."""
        await self._box.remove()
