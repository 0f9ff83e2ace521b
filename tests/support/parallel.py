"""How pytest-xdist spreads the tests: a file stays together, and all tests with RabbitMQ do, so that only one runs.

What takes longest comes first, so that no process is left alone with it at the end: the tests with RabbitMQ, then the
folders in the order of what a file in them takes. A process runs its files of one folder after the other, and ends what
they share when it leaves the folder. A test with RabbitMQ is known by its id, of which `rabbit` is a part: xdist 3.8
cannot group by marks with pytest 9.2.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

#: Those of `tests/` in the order in which they run: the idle system of `e2e` costs all others time while it is there.
FOLDERS = ("e2e", "chaos", "integration", "contract", "unit")
RABBIT = "rabbit"


class Files(LoadFileScheduling):
    """Each process takes a file at a time, or all that wants RabbitMQ."""

    def _split_scope(self, nodeid: str) -> str:
        return RABBIT if RABBIT in nodeid else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Files | None:
    """Called once, by the process that has no tests of its own."""
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # it would take files with many tests for those that take long
    return Files(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In each of the other processes: the same order everywhere."""
    if hasattr(config, "workerinput"):
        items.sort(key=_rank)


def _rank(item: pytest.Item) -> tuple[bool, int]:
    folder = next(part for part in reversed(item.path.parts) if part in FOLDERS)
    return RABBIT not in item.nodeid, FOLDERS.index(folder)
