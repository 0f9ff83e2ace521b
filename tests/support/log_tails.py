"""What the services of a system logged last: a failure on a machine that nobody can look at must explain itself."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path

#: Lines of each log.
LINES = 40


def log_tails(logs: Path, lines: int = LINES) -> Iterator[tuple[str, str]]:
    """The name of each log in a folder, and its last lines."""
    for path in sorted(logs.glob("*.log")):
        with path.open(errors="replace") as log:
            text = "".join(deque(log, lines))
        if text:
            yield f"the end of {path.name}", text
