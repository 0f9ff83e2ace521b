"""Descriptions of fields: their `#:` comments, for the published documents."""

import ast
import inspect
import textwrap


def field_docs(cls: type) -> dict[str, str]:
    """The `#:` comment of each field of a class, its base classes included; fields without one are left out."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("signalbox"):
            docs |= _own(base)
    return docs


def _own(cls: type) -> dict[str, str]:
    source = textwrap.dedent(inspect.getsource(cls))
    lines = source.splitlines()
    body = ast.parse(source).body[0]
    fields = body.body if isinstance(body, ast.ClassDef) else []
    names = {
        node.lineno: node.target.id
        for node in fields
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    found = {name: _above(lines, number - 1) for number, name in names.items()}
    return {name: text for name, text in found.items() if text}


def _above(lines: list[str], index: int) -> str:
    comment: list[str] = []
    while index > 0 and lines[index - 1].strip().startswith("#:"):
        index -= 1
        comment.insert(0, lines[index].strip().removeprefix("#:").strip())
    return " ".join(comment)
