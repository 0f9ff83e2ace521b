"""What a cancel promises in every pool and with either broker: a selection of the matrix (`make matrix`).

A new pool needs one line in `support/matrix/cells.py` (`ALL_POOLS`), and has to pass this.
"""

import pytest
import pytest_asyncio

from support.matrix.cells import ALL_POOLS, KINDS, PLAIN, RUNNING, UNTOUCHED, Cell, Pool, faults
from support.matrix.course import Course
from support.matrix.field import a_field
from support.stores.choose import a_redis
from support.stores.rabbit import RabbitMQ
from support.stores.server import Postgres

pytestmark = pytest.mark.timeout(300)

#: In the answer of a cancel that came after the task's own end.
FINISHED = "had already finished"
SWALLOWS, HOLDS = "swallows the exit", "a C call that stops all threads"
#: Those in which pools differ most; brokers differ in what becomes of a task that waits.
SELECTED = {"redis": (PLAIN.words, SWALLOWS, "runs a program", HOLDS), "rabbitmq": (PLAIN.words,)}


@pytest.fixture(scope="module", params=SELECTED)
def broker(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Its name, and its address; that of the Redis beside it is known only to `cells`."""
    if request.param == "redis":
        return request.param, ""
    rabbit: RabbitMQ = request.getfixturevalue("rabbit_server")
    return request.param, rabbit.url_of(rabbit.next_place())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cells(
    broker: tuple[str, str], tmp_path_factory: pytest.TempPathFactory, postgres_server: Postgres
) -> list[Cell]:
    """All that was tried with one broker, in all pools at once."""
    folder, (name, url) = tmp_path_factory.mktemp("pools"), broker
    kinds = [kind for kind in KINDS if kind.words in SELECTED[name]]
    async with (
        a_redis(folder / "redis") as redis,
        a_field(folder / "field", postgres_server, redis, name=name, broker=url or redis.url_of(1)) as field,
    ):
        return await Course(field, kinds).run()


@pytest.fixture(params=ALL_POOLS, ids=lambda pool: pool.name)
def pool(request: pytest.FixtureRequest) -> Pool:
    """One pool."""
    pool: Pool = request.param
    return pool


def answers(cells: list[Cell], pool: Pool, kind: str) -> set[int]:
    """The HTTP status for a running task of a kind; none where it was not tried, or had finished before its cancel."""
    tried = [cell for cell in cells if (cell.pool, cell.state, cell.kind.words) == (pool.name, RUNNING, kind)]
    return {cell.http for cell in tried if not (cell.completed and FINISHED in cell.answer.get("detail", ""))}


def test_the_answer_and_the_record_agree_with_what_happened(cells: list[Cell], pool: Pool) -> None:
    of_it = [cell for cell in cells if cell.pool == pool.name]
    assert len(of_it) >= 5
    assert {(cell.state, cell.kind.words): words for cell in of_it if (words := faults(cell))} == {}


def test_a_running_task_is_ended_alone_or_it_is_said_that_it_cannot_be(cells: list[Cell], pool: Pool) -> None:
    assert answers(cells, pool, PLAIN.words) == {200 if pool.ends_one else 409}


def test_what_waits_is_refused_whatever_the_pool(cells: list[Cell], pool: Pool) -> None:
    waiting = [cell for cell in cells if cell.pool == pool.name and cell.state in UNTOUCHED]
    assert len(waiting) >= 3
    assert [(cell.state, cell.diary) for cell in waiting if cell.diary] == []


def test_a_task_that_goes_on_whatever_is_thrown_is_killed_or_said_to_go_on(cells: list[Cell], pool: Pool) -> None:
    tried = answers(cells, pool, SWALLOWS)
    assert tried <= {502 if pool.shares else 200}


def test_a_worker_that_a_task_keeps_from_answering_is_not_said_to_have_cancelled(cells: list[Cell], pool: Pool) -> None:
    tried = answers(cells, pool, HOLDS)
    assert tried <= {(202 if pool.shares else 200) if pool.ends_one else 409}
