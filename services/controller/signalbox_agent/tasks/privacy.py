"""Privacy: what an application wants kept out of all that leaves this process, as the variable PRIVACY says.

The controller has refused patterns that do not compile or may take for ever. Where one does not compile in this older
Python, everything is withheld: what was to be hidden must not be shown.
"""

from __future__ import annotations

import json
import logging
import os
import re
from functools import lru_cache
from typing import Any

#: JSON: `hide_arguments` and `redact`. It stays in the environment, for children that inherit nothing else.
PRIVACY = "SIGNALBOX_PRIVACY"
#: What stands in the place of what matched.
REDACTED = "[redacted]"
#: Characters of a line in which patterns are looked for; the rest of it is left out. Bounds the time that they take.
LINE_LIMIT = 2_000


@lru_cache(maxsize=1)
def _rules(text: str) -> tuple[bool, tuple[re.Pattern[str], ...] | None]:
    """Whether arguments are hidden, and the patterns; None where they cannot be read."""
    if not text:
        return False, ()
    try:
        rules = json.loads(text)
        return bool(rules.get("hide_arguments")), tuple(re.compile(one) for one in rules.get("redact", ()))
    except (ValueError, TypeError, AttributeError, re.error):
        return True, None


def hides_arguments() -> bool:
    """Whether no arguments of tasks are sent."""
    return _rules(os.environ.get(PRIVACY, ""))[0]


def redact(text: str) -> str:
    """The text with each match of a pattern replaced; they are looked for line by line."""
    patterns = _rules(os.environ.get(PRIVACY, ""))[1]
    if patterns is None:
        return REDACTED if text else text
    if not patterns or not text:
        return text
    return "\n".join(_line(line, patterns) for line in text.split("\n"))


def _line(line: str, patterns: tuple[re.Pattern[str], ...]) -> str:
    cut = len(line) > LINE_LIMIT
    line = line[:LINE_LIMIT]
    for pattern in patterns:
        line = pattern.sub(REDACTED, line)
    return f"{line}…" if cut else line


class RedactingFormatter(logging.Formatter):
    """Formats as another formatter does, and redacts."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """The redacted text, traceback and all."""
        return redact(self._inner.format(record))


def redact_log(logger: Any = None, **_: Any) -> None:
    """Have what this logger's handlers write redacted; Celery has just set them up."""
    if not os.environ.get(PRIVACY):
        return
    for handler in getattr(logger, "handlers", ()):
        if not isinstance(handler.formatter, RedactingFormatter):
            handler.setFormatter(RedactingFormatter(handler.formatter))
