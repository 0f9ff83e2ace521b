"""Characters that would act on a terminal, or turn text around, made visible as escapes."""

import re

#: C0, DEL and C1; marks and overrides of the writing direction; separators of lines and paragraphs; lone surrogates.
_ACTING = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
_ACTING_BUT_LINES = re.compile(_ACTING.pattern.replace("\\x1f", "\\x09\\x0b-\\x1f", 1))


def visible(text: str) -> str:
    r"""Text of several lines: all but the newline is shown as what it is, such as `\x1b` or `\u202e`."""
    return _ACTING_BUT_LINES.sub(_escape, text)


def visible_line(text: str) -> str:
    r"""Text of one line: a newline is shown as `\x0a`."""
    return _ACTING.sub(_escape, text)


def visible_json(text: str) -> str:
    """JSON of the same value; what acts can only stand in its strings, apart from the newlines of its layout."""
    return _ACTING_BUT_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
