"""Celery workers of this machine that no agent speaks for, as the process table shows them, busy or idle."""

import os
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from signalbox.local.protocol import UnseenWorker
from signalbox_agent.proc import command_line, effective_user, pids, stat, variable
from signalbox_controller.linux.procfs import in_our_namespace

#: Options of `celery` itself that take no value.
_FLAGS = frozenset({"-C", "--no-color", "-q", "--quiet", "--version", "--skip-checks"})
#: The title that Celery gives its main process where the package setproctitle is installed.
_TITLE = "[celeryd: ", ":MainProcess]"


def is_worker(words: Sequence[str]) -> bool:
    """Whether a command line is that of a worker's main process, or of one of its pool's, which show the same."""
    if words and words[0].startswith(_TITLE[0]):
        return _TITLE[1] in words[0]
    for place, word in enumerate(words):
        module = word in {"celery", "signalbox_agent"} and words[place - 1 : place] == ["-m"]
        if module or (word.rpartition("/")[2] == "celery" and words[place - 1 : place] != ["-A"]):
            return _subcommand(words[place + 1 :]) == "worker"
    return False


def unseen_workers(known: AbstractSet[int], guest: Path) -> list[UnseenWorker]:
    """Those that are neither known by their main process' pid, nor another controller's."""
    found = {pid: words for pid in pids() if is_worker(words := command_line(pid))}
    mains = [pid for pid in found if not any(above in found for above in _above(pid))]
    return [
        UnseenWorker(pid=pid, command=" ".join(found[pid])[:200], reason=reason_of(pid, guest))
        for pid in mains
        if pid not in known and known.isdisjoint(_above(pid)) and not _of_another_controller(pid, guest)
    ]


def reason_of(pid: int, guest: Path) -> str:
    """Why it has no agent, as far as that can be seen."""
    if not in_our_namespace(pid):
        return "it is in another pid namespace; let the two share one"
    if (user := effective_user(pid)) not in {0, os.getuid()}:
        return f"it runs as user {user}; only workers of root and of the controller's own user ({os.getuid()}) may join"
    if str(guest) in _python_path(pid):
        return f"its PYTHONPATH names {guest}, and it did not look there (python -I or -E), or began before it was made"
    return f"its PYTHONPATH does not name {guest}"


def _subcommand(words: Sequence[str]) -> str:
    """The first word that is neither an option of `celery` nor the value of one."""
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            return word
        if word not in _FLAGS and "=" not in word and not (word.startswith("-A") and word != "-A"):
            next(rest, None)
    return ""


def _above(pid: int) -> Iterator[int]:
    """The processes above this one, the nearest first."""
    while (seen := stat(pid)) is not None and seen.parent > 0:
        yield seen.parent
        pid = seen.parent


def _of_another_controller(pid: int, guest: Path) -> bool:
    """Whether it was launched by another controller of this machine, or has the agent of one."""
    if variable(pid, b"SIGNALBOX_INSTANCE") is not None:
        return True
    others = (Path(place) for place in _python_path(pid) if place and place != str(guest))
    return any((place / "socket").is_file() and (place / "signalbox_agent").is_dir() for place in others)


def _python_path(pid: int) -> list[str]:
    return (variable(pid, b"PYTHONPATH") or "").split(os.pathsep)
