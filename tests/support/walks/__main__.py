"""`make walks`: walk docs/install.md with each project of `examples/`, each Celery and Python; prints how it went."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from support.stores.choose import a_postgres, a_redis
from support.stores.databases import a_database
from support.stores.server import Postgres
from support.walks.environments import Installation, install, install_project, interpreters
from support.walks.shapes import SHAPES, Shape
from support.walks.walk import STEPS, a_walk

T = TypeVar("T")
#: The oldest and the newest that we support.
CELERIES = ("5.3", "5.7")
_BY_NAME = {shape.name: shape for shape in SHAPES}


class Done(msgspec.Struct, frozen=True):
    """How a walk ended."""

    shape: str
    celery: str
    python: str
    seconds: float
    #: The step that failed and why; empty when it went well.
    wrong: str


class Way(msgspec.Struct, frozen=True):
    """A walk that is to be made."""

    shape: Shape
    celery: str
    python: str
    interpreter: str

    @property
    def words(self) -> str:
        return f"{self.shape.name}, Celery {self.celery}, Python {self.python}"


async def walked(way: Way, installation: Installation, folder: Path, postgres: Postgres) -> str:
    """Take all the steps, each with a line; the one that failed, and why."""
    folder.mkdir()  # noqa: ASYNC240 - nobody waits meanwhile
    step = "install the project"
    try:
        python = await told(step, install_project(way.shape, way.celery, way.interpreter, folder / "venv"))
        async with (
            a_redis(folder / "redis") as redis,
            a_database(postgres) as name,
            a_walk(installation, way.shape, python, folder, redis, postgres.url_of(name)) as walk,
        ):
            for step, take in STEPS:
                await told(step, take(walk))
    except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - the others are walked all the same
        return f"{step}: {error}"
    return ""


async def told(step: str, work: Awaitable[T]) -> T:
    """Print a step, and how long it took."""
    sys.stdout.write(f"  {step} ...")
    sys.stdout.flush()
    began = time.monotonic()
    ended = "failed"
    try:
        result = await work
        ended = f"{time.monotonic() - began:.1f} s"
        return result
    finally:
        sys.stdout.write(f" {ended}\n")
        sys.stdout.flush()


async def walk_all(ways: Sequence[Way], folder: Path) -> list[Done]:
    """One after the other; a Python gets one installation of ours."""
    done, installations = [], {}
    async with a_postgres(folder / "postgres") as postgres:
        for number, way in enumerate(ways):
            sys.stdout.write(f"{way.words}\n")
            if way.python not in installations:
                ours = install(folder / f"ours-{way.python}", way.interpreter)
                installations[way.python] = await told("build and install the wheels", ours)
            began = time.monotonic()
            wrong = await walked(way, installations[way.python], folder / f"walk-{number}", postgres)
            done.append(Done(way.shape.name, way.celery, way.python, time.monotonic() - began, wrong))
    return done


def chosen(found: dict[str, str]) -> list[Way]:
    """What the command line asks for; everything, if nothing is named."""
    parser = argparse.ArgumentParser(prog="make walks", description=__doc__)
    parser.add_argument("--shape", action="append", choices=_BY_NAME, help="only this one")
    parser.add_argument("--celery", action="append", metavar="5.N", help=f"this one instead of {', '.join(CELERIES)}")
    parser.add_argument("--python", action="append", choices=found, help="only this one")
    options = parser.parse_args()
    return [
        Way(_BY_NAME[shape], celery, python, found[python])
        for python in options.python or found
        for celery in options.celery or CELERIES
        for shape in options.shape or _BY_NAME
    ]


def main() -> int:
    """Exits with 1 when one went wrong."""
    ways = chosen(interpreters())
    with tempfile.TemporaryDirectory(prefix="signalbox-walks-") as folder:
        done = asyncio.run(walk_all(ways, Path(folder)))
    sys.stdout.write("\n| project | Celery | Python | seconds | |\n|---|---|---|---|---|\n")
    for one in done:
        how = one.wrong.partition("\n")[0] or "ok"
        sys.stdout.write(f"| {one.shape} | {one.celery} | {one.python} | {one.seconds:.0f} | {how} |\n")
    for one in done:
        if one.wrong:
            sys.stdout.write(f"\n{one.shape}, Celery {one.celery}, Python {one.python}: {one.wrong}\n")
    return 1 if any(one.wrong for one in done) else 0


if __name__ == "__main__":
    sys.exit(main())
