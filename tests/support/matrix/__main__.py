"""`make matrix`: try every cell, write the table, and fail where record and reality differ."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from support.matrix.cells import KINDS, POOLS, Cell, faults
from support.matrix.course import Course
from support.matrix.field import a_field
from support.matrix.table import written
from support.stores.choose import a_postgres, a_rabbit, a_redis
from support.stores.server import Redis

REDIS = "Redis"
BROKERS = (REDIS, "RabbitMQ")


async def tried(folder: Path, brokers: Sequence[str], pools: Sequence[str]) -> list[Cell]:
    """The cells of one broker after the other, so that times can be compared."""
    cells: list[Cell] = []
    async with a_postgres(folder / "postgres") as postgres:
        for name in brokers:
            async with (
                a_redis(folder / f"redis-{name}") as redis,
                _address(name, folder, redis) as broker,
                a_field(folder / name, postgres, redis, name=name, broker=broker) as field,
            ):
                cells += await Course(field, KINDS, pools).run()
    return cells


@asynccontextmanager
async def _address(name: str, folder: Path, redis: Redis) -> AsyncIterator[str]:
    """Of the broker; beside the bus, or a RabbitMQ."""
    if name == REDIS:
        yield redis.url_of(1)
    else:
        async with a_rabbit(folder / "rabbit") as rabbit:
            yield rabbit.url


def _show_logs(folder: Path) -> None:
    """What everything said last, for whoever has to find out what went wrong."""
    for log in sorted(folder.glob("*/data/logs/*.log")):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        sys.stderr.write("\n".join([f"== {log.name}", *lines[-30:], ""]))


def main() -> int:
    """Exits with 1 when there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="where the table is to be written")
    parser.add_argument("--broker", action="append", choices=BROKERS, help="only this one")
    parser.add_argument("--pool", action="append", choices=POOLS, help="only this one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="signalbox-matrix-") as folder:
        try:
            cells = asyncio.run(tried(Path(folder), options.broker or BROKERS, options.pool or POOLS))
        except BaseException:
            _show_logs(Path(folder))
            raise
    if options.write:
        options.write.write_text(written(cells), encoding="utf-8")
    found = [(cell, words) for cell in cells if (words := faults(cell))]
    for cell, words in found:
        where = f"{cell.broker}, {cell.pool}, {cell.state}, {cell.kind.words}"
        sys.stdout.write(f"{where}: {'; '.join(words)}\n  {cell.http} {cell.answer}\n  {cell.row}\n  {cell.diary}\n")
    sys.stdout.write(f"{len(cells)} cells, {len(found)} of them at odds with what happened\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
