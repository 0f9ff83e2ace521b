"""Celery options that are reserved: supervision sets them, so they must not stand in `options`: pure."""

from collections.abc import Sequence
from typing import Final

from signalbox.messages.base import ProcessKind

_RESERVED_EVERYWHERE: Final = {
    ("-D", "--detach"): "a detached process cannot be supervised",
    ("--pidfile",): "supervision needs none, and one that is left behind keeps the process from starting",
    ("-A", "--app"): "the key `app` says it",
}
_RESERVED_IN_WORKERS: Final = {
    (
        "-n",
        "--hostname",
    ): "two workers of one node name disturb each other; the node name is made of `name` and the host",
    ("-B", "--beat"): "two schedulers send everything twice; one of its own is configured in the table `beat`",
    ("-Q", "--queues"): "the key `queues` says it",
    ("-c", "--concurrency"): "the key `concurrency` says it",
    ("-P", "--pool"): "the key `pool` says it",
}
RESERVED: Final[dict[ProcessKind, dict[tuple[str, ...], str]]] = {
    "worker": _RESERVED_EVERYWHERE | _RESERVED_IN_WORKERS,
    "beat": _RESERVED_EVERYWHERE,
}


def reserved_option(kind: ProcessKind, options: Sequence[str]) -> str:
    """The first reserved option, and why it is reserved; empty when there is none."""
    for option in options:
        for spellings, why in RESERVED[kind].items():
            if any(_is(option, spelling) for spelling in spellings):
                return f"{option!r} must not stand here: {why}"
    return ""


def _is(option: str, spelling: str) -> bool:
    if spelling.startswith("--"):
        return option == spelling or option.startswith(f"{spelling}=")
    return option.startswith(spelling) and not option.startswith("--")
