"""Rule: what runs beside everything else is begun by `signalbox.service`, which ends the service when it dies."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKELETON = "shared/signalbox/service.py"
#: Tasks that end, and whose result or error is awaited by who began them.
AWAITED = {
    "services/api/signalbox_api/cancelling/progress.py": "the cancel whose progress is sent",
    "services/api/signalbox_api/record/database.py": "a query that may be given up",
    "services/api/signalbox_api/routes/live.py": "what one browser waits for",
    "services/controller/signalbox_controller/commands/cancel.py": "the questions to the workers",
    "services/controller/signalbox_controller/commands/cancel_many.py": "the parts of one cancel",
    "services/controller/signalbox_controller/commands/reader.py": "the commands that are carried out",
    "services/controller/signalbox_controller/fleet/fleet.py": "the processes that a stop waits for",
    "services/reconciler/signalbox_reconciler/feed.py": "the publication of one batch",
    "services/reconciler/signalbox_reconciler/reading.py": "one read",
}
BEGIN = {"create_task", "ensure_future", "run_coroutine_threadsafe"}


def begun(source: str) -> Iterator[int]:
    """The lines on which a task is begun."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in BEGIN:
            yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == "asyncio":
            yield from (node.lineno for alias in node.names if alias.name in BEGIN)


def sources() -> list[Path]:
    services = [path for path in (ROOT / "services").rglob("*.py") if "node_modules" not in path.parts]
    shared = [path for path in (ROOT / "shared" / "signalbox").rglob("*.py") if "client" not in path.parts]
    return sorted([*services, *shared])


def test_no_module_begins_a_loop_by_itself() -> None:
    found = {str(path.relative_to(ROOT)) for path in sources() if list(begun(path.read_text(encoding="utf-8")))}
    assert found - {SKELETON} == set(AWAITED)


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio\nasyncio.create_task(f())",
        "from asyncio import ensure_future",
        "import asyncio\nasyncio.get_running_loop().create_task(f())",
    ],
)
def test_the_check_itself_sees_what_it_is_for(source: str) -> None:
    assert list(begun(source))
