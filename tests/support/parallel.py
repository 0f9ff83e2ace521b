"""How pytest-xdist spreads the tests: a file stays together, and all tests with RabbitMQ do, so that only one runs.

The folders whose tests take longest come first, so that no process is left alone with them at the end. A test with
RabbitMQ is known by its id, of which `rabbit` is a part: xdist 3.8 cannot group by marks with pytest 9.2.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

#: Those of `tests/` by what a file in them takes, longest first.
FOLDERS = ("chaos", "e2e", "integration", "contract", "unit")
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


def _rank(item: pytest.Item) -> int:
    folders = [part for part in item.path.parts if part in FOLDERS]
    return -1 if RABBIT in item.nodeid else FOLDERS.index(folders[-1])
