"""Ids that Celery takes, and that a path, a key, an index, a line or a page might not."""

import random


def _chinese(length: int) -> str:
    """Letters that do not compress, as PostgreSQL would make room for others."""
    letters = random.Random(1)  # noqa: S311 - the same in each run
    return "".join(chr(letters.randint(0x4E00, 0x9FFF)) for _ in range(length))


#: By what is odd about them.
ODD_IDS = {
    "slash": "order:42/7",
    "slashes": "//a//b/",
    "looks like an address": "a/logs",
    "space": " user  42 ",
    "letters": "Größe-1",
    "plus": "mail+tag",
    "parentheses": "import(2024)",
    "url": "https://shop/a?b=1&c=%20#d",
    "dot": ".",
    "dots": "..",
    "percent": "a%2Fb%",
    "markup": '<b title="x">&amp;\'</b>',
    "query": "%_\\' OR 1=1; --",
    "like a code": "base64url:YWJj",
    "emoji": "🚂" * 40,
    "line breaks": "a\nb\r\x85\u2028c",
    "nul": "a\0b",
    "looks like a line break": "a\\x0ab",
    "line break": "a\nb",
    "spaces that are none": "a\u00a0b\u3000c",
    "200": "x" * 200,
    "3000": "y" * 3000,
    "3000 letters": _chinese(3000),
}
#: No broker takes it in UTF-8, but JSON carries it.
SURROGATE = "a\ud800b"

#: A name that is too long for an index.
LONG_NAME = _chinese(990)
