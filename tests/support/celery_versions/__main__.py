"""`make celery-versions`: installs the versions of Celery that are supported, and prints what the agent does with each.

Each version gets a virtual environment of its own in a temporary folder.
"""

import asyncio
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from support.agent.peer import Peer
from support.agent.worker import a_worker
from support.celery_versions.probe import CHECKS, failures
from support.stores.choose import a_redis
from support.stores.server import Redis

VERSIONS = ("5.3", "5.4", "5.5", "5.6", "5.7")


def install(version: str, folder: Path) -> str:
    """Make an environment with this Celery; answers its interpreter."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    packages = (f"celery~={version}.0", "redis", "packaging")  # what `celery[redis]` asks for is too old for kombu
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def version_of(python: str) -> str:
    """The exact version that was installed."""
    question = "import celery; print(celery.__version__)"
    return subprocess.run([python, "-c", question], check=True, capture_output=True, text=True).stdout.strip()


def probe(python: str, redis: Redis, database: int, folder: Path) -> list[str]:
    """The checks that fail."""
    peer = Peer(folder / "socket")
    try:
        with a_worker(peer, redis.url_of(database), folder / "log", "-c", "2", python=python) as worker:
            return failures(worker)
    finally:
        peer.close()


async def main() -> int:
    """Print the table; answers how many checks fail."""
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        async with a_redis(place / "redis") as redis:
            sys.stdout.write("| Celery | checks | what fails |\n|---|---|---|\n")
            for number, version in enumerate(VERSIONS):
                folder = place / version
                python = install(version, folder)
                wrong = await asyncio.to_thread(probe, python, redis, number, folder)
                passed = len(CHECKS) - len(wrong)
                row = f"| {version_of(python)} | {passed}/{len(CHECKS)} | {'; '.join(wrong) or '–'} |\n"
                sys.stdout.write(row)
                sys.stdout.flush()
                failed += len(wrong)
    return failed


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(main()) else 0)
