"""Every line of every internal protocol is read by the other side, and so is each of its fields."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from signalbox.local.protocol import NotDone, Reply, Request, ShowStatus
from signalbox_controller.agentless import protocol as watch
from signalbox_controller.agents import protocol as agents
from signalbox_controller.agents.running import Run

ROOT = Path(__file__).parents[2]
CONTROLLER = ROOT / "services" / "controller" / "signalbox_controller"
AGENT = ROOT / "services" / "controller" / "signalbox_agent"
WATCH = AGENT / "agentless"
CLI = ROOT / "shared" / "signalbox_cli"

#: What the watch sends back as it came: see `Revoked`.
ECHOED = {"command_id", "task_id"}
#: The versions, for people who read a dump of the line.
UNREAD = {"celery", "python"}
#: What a variable that holds a line is called.
NAMES = {"line", "hello", "report", "claim", "snapshot", "seen", "task"}


@cache
def nodes(*folders: Path) -> tuple[ast.AST, ...]:
    """All that is written in these folders."""
    sources = [path for folder in folders for path in folder.rglob("*.py")]
    return tuple(node for path in sources for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def classes_asked_for(*folders: Path) -> Iterator[str]:
    """The classes of `case Class():` and of `isinstance(line, Class)`."""
    for node in nodes(*folders):
        if isinstance(node, ast.MatchClass):
            yield ast.unparse(node.cls).rpartition(".")[2]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
            yield from (name.strip().rpartition(".")[2] for name in ast.unparse(node.args[1]).split("|"))


def attributes_read(*folders: Path) -> set[str]:
    """The `field` of each `line.field`, by whatever name the reader has for its line."""
    return {
        node.attr
        for node in nodes(*folders)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).rpartition(".")[2] in NAMES
    }


def keys_read(*folders: Path) -> set[str]:
    """The `key` of each `message["key"]` and `message.get("key")`."""
    keys: set[str] = set()
    for node in nodes(*folders):
        match node:
            case ast.Subscript(slice=ast.Constant(value=str(key)), ctx=ast.Load()):
                keys.add(key)
            case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(key)), *_]):
                keys.add(key)
            case _:
                pass
    return keys


def types_asked_for(*folders: Path) -> set[str]:
    """The `word` of each `message["type"] == "word"`."""
    return {
        node.comparators[0].value
        for node in nodes(*folders)
        if isinstance(node, ast.Compare)
        and ast.unparse(node.left).endswith("['type']")
        and isinstance(node.comparators[0], ast.Constant)
        and isinstance(node.comparators[0].value, str)
    }


def dicts_written(*folders: Path) -> Iterator[tuple[str, set[str]]]:
    """The `type` and the other keys of each line that is written as a dictionary with its type in it."""
    for node in nodes(*folders):
        if isinstance(node, ast.Dict):
            literal = {
                key.value: value
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            }
            word = literal.pop("type", None)
            if isinstance(word, ast.Constant) and isinstance(word.value, str):
                yield word.value, set(literal)


def fields_of(line: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(line)}


def tag_of(line: type[msgspec.Struct]) -> str:
    return str(line.__struct_config__.tag)


def of(line: type[msgspec.Struct]) -> str:
    return line.__name__


TO_AGENTS = get_args(agents.ControllerLine)
FROM_WATCHES = get_args(watch.WatchLine)
TO_WATCHES = (agents.Ack, watch.Agents, watch.Revoke)


@pytest.mark.parametrize("line", get_args(agents.AgentLine), ids=of)
def test_the_controller_has_a_case_for_each_line_of_an_agent(line: type[msgspec.Struct]) -> None:
    rooms = [CONTROLLER / room for room in ("agents", "processes", "beat_lease")]
    assert of(line) in set(classes_asked_for(*rooms))


@pytest.mark.parametrize("line", get_args(agents.AgentLine), ids=of)
def test_the_controller_reads_each_field_of_an_agents_line(line: type[msgspec.Struct]) -> None:
    assert fields_of(line) - UNREAD <= attributes_read(CONTROLLER)


def test_the_controller_takes_each_field_of_a_run_in_a_snapshot() -> None:
    assert fields_of(agents.SnapshotRun) <= fields_of(Run)


@pytest.mark.parametrize("line", TO_AGENTS, ids=of)
def test_an_agent_asks_for_each_line_of_the_controller_and_reads_its_fields(line: type[msgspec.Struct]) -> None:
    folders = [AGENT / "link", AGENT / "beat", AGENT]
    assert tag_of(line) in types_asked_for(*folders)
    assert fields_of(line) <= keys_read(*folders)


def test_an_agent_writes_nothing_that_the_protocol_does_not_name() -> None:
    known = {tag_of(line): fields_of(line) for line in get_args(agents.AgentLine)}
    known |= {tag_of(line): fields_of(line) for line in FROM_WATCHES}
    written = [(word, keys) for word, keys in dicts_written(AGENT) if not word[0].isupper()]
    assert [(word, keys - known.get(word, set())) for word, keys in written if not keys <= known.get(word, set())] == []
    assert {word for word, _ in written} <= set(known)


@pytest.mark.parametrize("line", FROM_WATCHES, ids=of)
def test_the_controller_reads_each_field_of_a_watchs_line(line: type[msgspec.Struct]) -> None:
    assert fields_of(line) <= attributes_read(CONTROLLER / "agentless")


@pytest.mark.parametrize("line", TO_WATCHES, ids=of)
def test_a_watch_asks_for_each_line_of_the_controller_and_reads_its_fields(line: type[msgspec.Struct]) -> None:
    assert tag_of(line) in types_asked_for(WATCH)
    assert fields_of(line) - ECHOED <= keys_read(WATCH)


@pytest.mark.parametrize("line", [watch.WatchRequest, watch.OpenTask], ids=of)
def test_a_watch_reads_each_field_of_its_order(line: type[msgspec.Struct]) -> None:
    assert fields_of(line) <= keys_read(WATCH)


def test_both_ends_of_the_controllers_own_socket_ask_for_what_is_not_a_command_or_its_answer() -> None:
    assert {ShowStatus, NotDone} <= {*get_args(Request), *get_args(Reply)}
    assert of(ShowStatus) in set(classes_asked_for(CONTROLLER / "commands"))
    assert {of(NotDone), "HostSeen"} <= set(classes_asked_for(CLI))
    assert fields_of(NotDone) <= {node.attr for node in nodes(CLI) if isinstance(node, ast.Attribute)}
