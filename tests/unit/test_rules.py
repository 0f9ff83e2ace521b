"""Rule 1: only a controller touches a process, and no command line ever travels on the bus."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from signalbox.messages.commands import AnyCommand
from signalbox.messages.events import AnyEvent
from signalbox.messages.receipts import AnyReceipt

ROOT = Path(__file__).parents[2]
#: Whatever can start, signal or end a process.
PROCESS_CALLS = re.compile(
    r"^(os\.(kill|killpg|fork\w*|exec\w+|spawn\w+|posix_spawnp?|system|popen|pidfd_open)"
    r"|signal\.(pidfd_send_signal|raise_signal|pthread_kill)"
    r"|subprocess\b.*|multiprocessing\b.*|psutil\b.*|pty\.spawn"
    r"|asyncio\.(create_subprocess_\w+|subprocess\b.*))$"
)
CONTROLLER = ROOT / "services" / "controller"
#: Runs the programs of our own services, once each, for `signalbox setup`; it never runs in a service.
SETUP = "shared/signalbox_cli/installation/parts.py"
#: What a message may be made of, so that nothing can be hidden in it.
LEAVES = {str, int, float, bool, bytes, NoneType}


def calls(source: str) -> Iterator[str]:
    """Every name that a module uses, by its full name however it was imported."""
    tree = ast.parse(source)
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                aliases[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    yield from aliases.values()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Attribute, ast.Name)):
            head, _, rest = ast.unparse(node).partition(".")
            if head in aliases:
                yield f"{aliases[head]}.{rest}".rstrip(".")


def sources() -> list[Path]:
    found = [*(ROOT / "services").rglob("*.py"), *(ROOT / "shared").rglob("*.py")]
    return sorted(path for path in found if CONTROLLER not in path.parents and "node_modules" not in path.parts)


def process_calls(source: str) -> list[str]:
    """The names in a module that can touch a process."""
    return [name for name in calls(source) if PROCESS_CALLS.match(name)]


def test_only_the_controller_touches_processes() -> None:
    found = {str(path.relative_to(ROOT)): process_calls(path.read_text(encoding="utf-8")) for path in sources()}
    assert len(found) > 50
    touching = {path: names for path, names in found.items() if names}
    assert touching.keys() == {SETUP}
    assert set(touching[SETUP]) <= {f"subprocess{name}" for name in ("", ".run", ".DEVNULL", ".TimeoutExpired")}


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.kill(1, 9)",
        "from os import kill as end\nend(1, 9)",
        "import signal as s\ns.pidfd_send_signal(3, 9)",
        "import subprocess",
        "from subprocess import run",
        "import asyncio\nasyncio.create_subprocess_exec('ls')",
        "import os as system\nsystem.posix_spawn('ls', [], {})",
    ],
)
def test_the_check_itself_sees_what_it_is_for(source: str) -> None:
    assert process_calls(source)


def test_the_controller_is_where_processes_are_touched() -> None:
    assert any(process_calls(path.read_text(encoding="utf-8")) for path in CONTROLLER.rglob("*.py"))


def fields_of(shape: object, path: str) -> Iterator[tuple[str, object]]:
    """Every field of a message type, down to its leaves."""
    origin = get_origin(shape)
    if origin in {Union, UnionType, tuple, list, frozenset, Annotated}:
        for part in get_args(shape):
            if part is not Ellipsis:
                yield from fields_of(part, path)
    elif origin is dict:
        yield path, dict
    elif origin is Literal:
        return
    elif isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        for name, part in get_type_hints(shape, include_extras=True).items():
            yield from fields_of(part, f"{path}.{name}")
    else:
        yield path, shape


def test_no_command_line_travels_on_the_bus() -> None:
    """A command names processes of a configuration file; there is no field in which anything to run could stand."""
    telling = re.compile(r"argv|command_?line|cmd|exec|shell|script|program|binary|environ|directory|python|path")
    messages = [*get_args(AnyCommand), *get_args(AnyEvent), *get_args(AnyReceipt)]
    fields = [field for message in messages for field in fields_of(message, message.__name__)]
    assert len(fields) > 100
    assert [path for path, _ in fields if telling.search(path.rpartition(".")[2])] == []
    assert [path for path, shape in fields if shape in {dict, object, msgspec.Raw}] == []
