"""The end of a log file, for the message that says why a process died."""

from pathlib import Path

#: Bytes that are looked at, lines and characters that are shown.
WINDOW = 16_384
LINES = 6
LENGTH = 600


def last_words(log: Path, since: int = 0) -> str:
    """The last lines that were written after the first `since` bytes, on one line; empty when there are none."""
    try:
        with log.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(since, end - WINDOW))
            text = file.read(WINDOW).decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-LINES:])[-LENGTH:]


def size(log: Path) -> int:
    """Bytes that the log has now; 0 when there is none."""
    try:
        return log.stat().st_size
    except OSError:
        return 0
