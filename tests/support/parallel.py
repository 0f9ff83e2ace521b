"""How pytest-xdist spreads the tests: a file stays together, and all tests with RabbitMQ do, so that only one runs.

The folders whose tests take longest come first, so that no process is left alone with them at the end.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadGroupScheduling

#: Those of `tests/` by what a file in them takes, longest first.
FOLDERS = ("chaos", "e2e", "integration", "contract", "unit")
RABBIT = "rabbitmq"


class Files(LoadGroupScheduling):
    """Each process takes a group, or the rest of a file, at a time."""

    def _split_scope(self, nodeid: str) -> str:
        scope = super()._split_scope(nodeid)
        return nodeid.partition("::")[0] if scope == nodeid else scope


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Files | None:
    """Called once, with `--dist loadgroup` only."""
    if config.getoption("dist") != "loadgroup":
        return None
    config.option.loadscopereorder = False  # it would take files with many tests for those that take long
    return Files(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In each process of xdist: the same order everywhere."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        if _wants_rabbit(item):
            item.add_marker(pytest.mark.xdist_group(RABBIT))
    items.sort(key=_rank)


def _wants_rabbit(item: pytest.Item) -> bool:
    """Whether it names a fixture that starts it, or a parameter that asks for one."""
    params = item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
    fixtures = getattr(item, "fixturenames", ())
    return RABBIT in params or any(name.startswith("rabbit") or name.endswith(RABBIT) for name in fixtures)


def _rank(item: pytest.Item) -> int:
    folders = [part for part in item.path.parts if part in FOLDERS]
    return -1 if item.get_closest_marker("xdist_group") else FOLDERS.index(folders[-1])
