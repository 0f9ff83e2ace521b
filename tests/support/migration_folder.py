"""A package of migrations that a test writes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest


class Folder:
    """The package; its name is one that Python can import."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        path.mkdir()
        self.write("__init__.py", "")

    def write(self, name: str, text: str) -> None:
        """Add a file, or change it."""
        (self.path / name).write_text(text, encoding="utf-8")


@contextmanager
def a_folder(below: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """An empty package."""
    monkeypatch.syspath_prepend(below)
    folder = Folder(below / f"migrations_{uuid4().hex}")
    yield folder
    sys.modules.pop(folder.name, None)
