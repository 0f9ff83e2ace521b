"""The api as a process: one whose loop dies ends, and serves nobody who could believe it."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]

from signalbox.settings import Settings
from signalbox_api.bootstrap import bootstrap
from signalbox_local.ports import free_port
from support.api import ADMIN, KEY, PASSWORD
from support.eventually import HANGS
from support.stores.server import Redis


async def test_an_api_whose_loop_dies_ends_with_an_error_and_its_log_says_which(
    valkey: Redis, database_url: str, tmp_path: Path
) -> None:
    await bootstrap(Settings(redis_url=valkey.url, database_url=database_url, key=KEY), ADMIN, PASSWORD)
    connection = await asyncpg.connect(database_url)
    try:  # not as we left it: a query of it is a mistake, and no outage
        await connection.execute("ALTER TABLE sessions ALTER COLUMN expires_at TYPE text")
    finally:
        await connection.close()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")} | {
        "SIGNALBOX_REDIS_URL": valkey.url,
        "SIGNALBOX_DATABASE_URL": database_url,
        "SIGNALBOX_KEY": KEY,
        "SIGNALBOX_PORT": str(free_port()),
    }
    log = tmp_path / "api.log"
    with log.open("wb") as out:
        api = subprocess.Popen([sys.executable, "-m", "signalbox_api"], env=environ, stdout=out, stderr=out)
    try:
        assert await asyncio.to_thread(api.wait, HANGS) == 1
    finally:
        api.kill()
    said = log.read_text(encoding="utf-8")
    assert "has died, so the service ends: UndefinedFunctionError" in said
    assert "did not end in order" not in said
