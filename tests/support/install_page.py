"""docs/install.md, as commands to type and a file to write."""

import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "install.md"
WHEELS = "1. Wheels"


def commands(section: str) -> list[str]:
    """The commands that a section of the page tells to type."""
    text = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    found = [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    assert found, f"the page has no section {section!r}"
    return found


def configuration() -> str:
    """The `signalbox.toml` that the page calls enough to begin with."""
    block = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    return block[1]


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """The text with what is another on each machine."""
    for example, real in values.items():
        text = text.replace(example, real)
    return text


def of_an_installation(folder: Path, python: str) -> dict[str, str]:
    """What the section about wheels names, for a folder that gets the wheels and the environment."""
    builder = shlex.quote(sys.executable)
    wheels = f"make -C {shlex.quote(str(ROOT))} wheels WHEELS={folder}/dist PYTHON={builder}"
    return {"make wheels": wheels, "python3 ": f"{shlex.quote(python)} ", "/opt/signalbox": f"{folder}/venv"}


def of_the_stores(redis: str, database: str) -> dict[str, str]:
    """What the section about the setup names."""
    return {
        "redis://:password@10.0.0.5:6379/0": redis,
        "postgresql://signalbox:password@10.0.0.6:5432/signalbox": database,
    }
