"""Which arguments of Celery must not stand in `options`, because supervision rests on them: pure."""

from collections.abc import Sequence
from typing import Final

from signalbox.messages.base import ProcessKind

_ANYWHERE: Final = {
    ("-D", "--detach"): "a detached process cannot be supervised",
    ("--pidfile",): "supervision needs none, and one that is left behind keeps the process from starting",
    ("-A", "--app"): "the key `app` says it",
}
_WORKER: Final = {
    (
        "-n",
        "--hostname",
    ): "two workers of one node name disturb each other; the node name is made of `name` and the host",
    ("-B", "--beat"): "two schedulers send everything twice; one of its own is configured in the table `beat`",
    ("-Q", "--queues"): "the key `queues` says it",
    ("-c", "--concurrency"): "the key `concurrency` says it",
    ("-P", "--pool"): "the key `pool` says it",
}
_TABOO: Final[dict[ProcessKind, dict[tuple[str, ...], str]]] = {"worker": _ANYWHERE | _WORKER, "beat": _ANYWHERE}


def taboo(kind: ProcessKind, options: Sequence[str]) -> str:
    """The first option that must go, and why; empty when all are right."""
    for option in options:
        for spellings, why in _TABOO[kind].items():
            if any(_is(option, spelling) for spelling in spellings):
                return f"{option!r} must not stand here: {why}"
    return ""


def _is(option: str, spelling: str) -> bool:
    if spelling.startswith("--"):
        return option == spelling or option.startswith(f"{spelling}=")
    return option.startswith(spelling) and not option.startswith("--")
