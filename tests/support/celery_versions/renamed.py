"""A copy of the installed Celery in which one name is another, as a release of Celery would have it."""

import re
import shutil
from importlib import import_module
from pathlib import Path

PACKAGES = ("celery", "kombu", "billiard")


def rename(name: str, folder: Path) -> Path:
    """Copy celery, kombu and billiard into `folder` with every `name` in them changed; answers `folder`."""
    word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w| import\b)")  # modules keep theirs
    for package in PACKAGES:
        origin = import_module(package).__file__
        assert origin is not None
        shutil.copytree(Path(origin).parent, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        for file in (folder / package).rglob("*.py"):
            text = file.read_text()
            if word.search(text):
                file.write_text(word.sub(f"{name}_of_another_release", text))
    return folder
