"""Readiness of each part of a local run."""

import asyncio
import json
import sys
from collections.abc import Mapping

import asyncpg  # type: ignore[import-untyped]
import httpx

from signalbox.postgres.migrate import read_migrations
from signalbox.postgres.pool import SCHEMA
from signalbox_local.errors import DidNotStart

#: Seconds for one short-lived command; a machine with much else to do takes long to import a program.
COMMAND_TIMEOUT = 180.0


async def is_migrated(database_url: str) -> bool:
    """Whether the reconciler has brought its tables up to date."""
    wanted = len(read_migrations("signalbox_reconciler.migrations"))
    query = f"SELECT count(*) FROM {SCHEMA}.signalbox_migrations WHERE service = 'reconciler'"  # noqa: S608 - our own
    try:
        connection = await asyncpg.connect(database_url, timeout=5.0, command_timeout=5.0)
        try:
            applied = await connection.fetchval(query)
        finally:
            await connection.close(timeout=5.0)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    return bool(applied >= wanted)


async def is_serving(url: str, token: str) -> bool:
    """Whether the api is alive and reports itself ready."""
    async with httpx.AsyncClient(base_url=url, timeout=5.0, trust_env=False) as client:
        try:
            alive = await client.get("/healthz")
            ready = await client.get("/readyz", headers={"Authorization": f"Bearer {token}"})
        except httpx.HTTPError:
            return False
    return alive.status_code == 200 and ready.status_code == 200


async def first_user(name: str, password: str, environ: Mapping[str, str]) -> str:
    """Create the user `name` if missing; return a token for the api.

    Raises:
        DidNotStart: the api's command failed, or took too long; the text has its output.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "signalbox_api.bootstrap", "--user", name),
        env={**environ, "SIGNALBOX_ADMIN_PASSWORD": password},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT):
            output, errors = await process.communicate()
    except TimeoutError:
        raise DidNotStart(f"the first user {name!r} was not made within {COMMAND_TIMEOUT:g} s; try again") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        return str(json.loads(output)["token"])
    except (ValueError, KeyError, TypeError):
        raise DidNotStart(
            f"the first user {name!r} could not be made (exit code {process.returncode}):\n"
            + (errors or output).decode(errors="replace").strip()
        ) from None
