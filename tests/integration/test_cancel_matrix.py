"""A selection of the matrix (`make matrix`): no cell in which the answer or the record differs from what happened."""

from pathlib import Path

import pytest

from support.matrix.cells import KINDS, POOLS, RUNNING, faults
from support.matrix.course import Course
from support.matrix.field import a_field
from support.stores.server import Postgres, Redis

#: Those in which pools differ most.
SELECTED = ("sleeps", "swallows the exit", "runs a program", "a C call that stops all threads")


@pytest.mark.timeout(180)
async def test_whatever_is_cancelled_in_whatever_pool_the_record_agrees_with_what_happened(
    tmp_path: Path, postgres_server: Postgres, valkey: Redis
) -> None:
    kinds = [kind for kind in KINDS if kind.words in SELECTED]
    async with a_field(tmp_path / "field", postgres_server, valkey, name="Redis", broker=valkey.url_of(1)) as field:
        cells = await Course(field, kinds).run()
    wrong = {(cell.pool, cell.state, cell.kind.words): words for cell in cells if (words := faults(cell))}
    assert wrong == {}
    answers = {(cell.pool, cell.kind.words): cell.http for cell in cells if cell.state == RUNNING}
    assert [answers[pool, "sleeps"] for pool in POOLS] == [200, 200, 200, 409, 409]
    assert [answers[pool, "a C call that stops all threads"] for pool in POOLS] == [200, 202, 202, 409, 409]
    assert [answers[pool, "swallows the exit"] for pool in ("prefork", "gevent", "eventlet")] == [200, 502, 502]
