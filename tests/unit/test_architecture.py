"""The tree is as docs/architecture.md draws it: rooms in layers, imports that only go down, names of the field."""

import ast
import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
#: The folder of each package of product code.
PACKAGES = {
    "signalbox": "shared",
    "signalbox_cli": "shared",
    "signalbox_protocol": "tools",
    "signalbox_agent": "services/controller",
    "signalbox_controller": "services/controller",
    "signalbox_reconciler": "services/reconciler",
    "signalbox_api": "services/api",
    "signalbox_local": "deploy/local",
}
#: Those whose rooms the page draws; the local run is a tool around them.
DRAWN = [package for package in PACKAGES if package != "signalbox_local"]
#: Modules that one folder may hold, `__init__.py` not counted.
CROWDED = 15
#: Names of files and definitions that nobody of the field would search for.
RIDDLES = re.compile(
    r"obituar|funeral|aftermath|reckon|\bwills?\b|custod|diar(y|ies|ist)|tenure|stillness|\bdesk\b|herald|\btwins?\b"
    r"|hearing|\bparting\b|inquir|taboo|\bkin\b|gravity|\bsite\b|\blife\b",
    re.IGNORECASE,
)


def modules(package: str) -> dict[str, Path]:
    """Each module of a package by its full name; a package stands for its `__init__.py`."""
    top = ROOT / PACKAGES[package]
    found = {}
    for path in sorted((top / package).rglob("*.py")):
        parts = path.relative_to(top).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules among `known` that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in known or node.module in known:
                    yield full if full in known else node.module


def room_of(module: str, path: Path) -> str:
    """`cancel/prefork/` for a module in that folder; `service.py` for one at the top of its package."""
    parts = module.split(".")[1:]
    inside = parts if path.name == "__init__.py" else parts[:-1]
    return f"{'/'.join(inside)}/" if inside else path.name


def drawn(package: str) -> list[str]:
    """The rooms of a package in the page's table, the highest first."""
    section = re.search(rf"^### `{package}`.*?(?=^#|\Z)", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert section, f"docs/architecture.md has no section for {package}"
    rows = [line.split("|")[1] for line in section[0].splitlines() if line.startswith("| `")]
    return [room for cell in rows for room in re.findall(r"`([^`]+)`", cell)]


def test_the_page_draws_each_room_that_there_is_and_no_other() -> None:
    wrong = {}
    for package in DRAWN:
        rooms = {room_of(module, path) for module, path in modules(package).items()} - {"__init__.py"}
        if rooms ^ set(drawn(package)):
            wrong[package] = sorted(rooms ^ set(drawn(package)))
    assert not wrong


def test_each_file_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`([a-z_/]+/[a-z_]+\.(?:py|md))`", PAGE.read_text(encoding="utf-8")))
    tops = [ROOT, *(ROOT / top / package for package, top in PACKAGES.items())]
    assert len(named) > 10
    assert sorted(name for name in named if not any((top / name).is_file() for top in tops)) == []


def test_no_import_goes_up() -> None:
    upward = []
    for package in DRAWN:
        known = modules(package)
        height = {room: -index for index, room in enumerate(drawn(package))}
        for module, path in known.items():
            here = room_of(module, path)
            for other in imported(path, known):
                there = room_of(other, known[other])
                if "__init__.py" not in {here, there} and height[there] > height[here]:
                    upward.append(f"{module} imports {other}")
    assert not upward


def test_no_modules_import_each_other_in_a_circle() -> None:
    circles = []
    for package in PACKAGES:
        known = modules(package)
        graph = {module: set(imported(path, known)) - {module} for module, path in known.items()}
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            circles.append(" → ".join(error.args[1]))
    assert not circles


def test_no_folder_is_crowded() -> None:
    counts: dict[Path, int] = {}
    for package in PACKAGES:
        for path in modules(package).values():
            counts[path.parent] = counts.get(path.parent, 0) + (path.name != "__init__.py")
    assert not {str(folder.relative_to(ROOT)): count for folder, count in counts.items() if count > CROWDED}


def names_of(path: Path) -> Iterator[str]:
    """The name of a file, and of each class, function and constant that it defines, in words."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def in_words(name: str) -> str:
    """`AtPrefork` and `at_prefork` as `at prefork`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name).lower()


def test_nothing_has_a_name_that_nobody_would_search_for() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for package in PACKAGES
        for path in modules(package).values()
        for name in names_of(path)
        if RIDDLES.search(in_words(name))
    ]
    assert not found


def test_what_is_forbidden_is_seen() -> None:
    assert RIDDLES.search(in_words("read_obituary"))
    assert RIDDLES.search(in_words("LastWills"))
    assert not RIDDLES.search(in_words("OutOfMemory"))
    assert not RIDDLES.search(in_words("likelihood"))
