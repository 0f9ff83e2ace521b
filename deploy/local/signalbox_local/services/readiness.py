"""Readiness of each part of a local run."""

import asyncio
import json
import sys
from collections.abc import Mapping

import asyncpg  # type: ignore[import-untyped]
import httpx

from signalbox.postgres.migrate import read_migrations
from signalbox_local.errors import DidNotStart

#: Seconds for one short-lived command.
_TIMEOUT = 30.0


async def is_migrated(database_url: str) -> bool:
    """Whether the reconciler has brought its tables up to date."""
    wanted = len(read_migrations("signalbox_reconciler.migrations"))
    try:
        connection = await asyncpg.connect(database_url, timeout=2.0)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    try:
        applied = await connection.fetchval("SELECT count(*) FROM signalbox_migrations WHERE service = 'reconciler'")
    except asyncpg.UndefinedTableError:
        return False
    finally:
        await connection.close()
    return bool(applied >= wanted)


async def is_serving(url: str, token: str) -> bool:
    """Whether the api is alive and reports itself ready."""
    async with httpx.AsyncClient(base_url=url, timeout=2.0, trust_env=False) as client:
        try:
            alive = await client.get("/healthz")
            ready = await client.get("/readyz", headers={"Authorization": f"Bearer {token}"})
        except httpx.HTTPError:
            return False
    return alive.status_code == 200 and ready.status_code == 200


async def first_user(name: str, password: str, environ: Mapping[str, str]) -> str:
    """Create the user `name` if missing; return a token for the api.

    Raises:
        DidNotStart: the api's command failed; the text has its output.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "signalbox_api.bootstrap", "--user", name),
        env={**environ, "SIGNALBOX_ADMIN_PASSWORD": password},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_TIMEOUT):
            output, errors = await process.communicate()
    except BaseException:
        if process.returncode is None:
            process.kill()
        await process.wait()
        raise
    try:
        return str(json.loads(output)["token"])
    except (ValueError, KeyError, TypeError):
        raise DidNotStart(
            f"the first user {name!r} could not be made (exit code {process.returncode}):\n"
            + (errors or output).decode(errors="replace").strip()
        ) from None
