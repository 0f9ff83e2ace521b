"""Patterns of what is redacted: those that may take for ever in a worker are refused."""

import re
from collections.abc import Iterator
from re import _constants as codes
from re import _parser as parser
from typing import Any

#: Characters of a pattern.
LIMIT = 500
_REPEATS = {codes.MAX_REPEAT, codes.MIN_REPEAT}
#: Repetitions from which on a text may be read in several ways, if what is repeated varies: not `(…)?`.
_MANY = 2


def refused_pattern(pattern: str) -> str:
    """Why a pattern cannot be used, in words; empty where it can."""
    if len(pattern) > LIMIT:
        return f"has {len(pattern)} characters; {LIMIT} are allowed"
    try:
        compiled = re.compile(pattern)
        parsed = parser.parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"is not a regular expression: {error}"
    if compiled.match(""):
        return "matches an empty text, so it would redact everything; make it match at least one character"
    if any(_is_dangerous(one) for one in _walk(parsed)):
        return (
            "repeats something that itself repeats or has alternatives, as in (a+)+ or (a|ab)*: on some texts it would"
            " take for ever; write it without that"
        )
    return ""


def _is_dangerous(step: tuple[Any, Any]) -> bool:
    code, about = step
    if code not in _REPEATS or about[1] < _MANY:
        return False
    return any(
        inner is codes.BRANCH or (inner in _REPEATS and value[0] != value[1]) for inner, value in _walk(about[2])
    )


def _walk(parsed: object) -> Iterator[tuple[Any, Any]]:
    """Each step of a parsed pattern, with those that are within others."""
    if isinstance(parsed, parser.SubPattern):
        for step in parsed:
            yield step
            yield from _walk(step[1])
    elif isinstance(parsed, (tuple, list)):
        for part in parsed:
            yield from _walk(part)
