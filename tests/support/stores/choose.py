"""Where the stores of a test come from: the environment, else Docker, else the packages that carry them."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from signalbox_local.errors import MissingProgram
from signalbox_local.stores.postgres import EmbeddedPostgres
from signalbox_local.stores.valkey import EmbeddedValkey
from support.requirement import missing
from support.stores import docker
from support.stores.given import GivenPostgres, GivenRedis
from support.stores.rabbit import RabbitMQ
from support.stores.server import Postgres, Redis

#: Asked once: the answer takes seconds where the engine hangs.
docker_answers = cache(docker.engine_answers)


@asynccontextmanager
async def a_postgres(folder: Path) -> AsyncIterator[Postgres]:
    """A PostgreSQL server; an embedded one keeps its data in `folder`."""
    if url := os.environ.get("DATABASE_URL"):
        given = GivenPostgres(url)
        await given.start()
        yield given
    elif docker_answers():
        box = docker.DockerPostgres()
        try:
            await box.start()
            yield box
        finally:
            await box.remove()
    else:
        embedded = EmbeddedPostgres(folder, durable=False)
        try:
            await embedded.start()
            yield embedded
        except MissingProgram as error:
            missing(str(error))
        finally:
            await embedded.stop()


@asynccontextmanager
async def a_redis(folder: Path) -> AsyncIterator[Redis]:
    """An empty Redis or Valkey server; an embedded one keeps its data in `folder`."""
    if url := os.environ.get("REDIS_URL"):
        given = GivenRedis(url)
        await given.start()
        await given.refuse_unless_empty()
        try:
            yield given
        finally:
            await given.empty()
    elif docker_answers():
        box = docker.DockerRedis()
        try:
            await box.start()
            yield box
        finally:
            await box.remove()
    else:
        embedded = EmbeddedValkey(folder, durable=False)
        try:
            await embedded.start()
            yield embedded
        except MissingProgram as error:
            missing(str(error))
        finally:
            await embedded.stop()


@asynccontextmanager
async def a_rabbit(folder: Path) -> AsyncIterator[RabbitMQ]:
    """A RabbitMQ server with its data in `folder`."""
    server = RabbitMQ(folder)
    try:
        await server.start()
        yield server
    except MissingProgram as error:
        missing(str(error))
    finally:
        await server.remove()
