"""How a worker that one launches oneself gets the agent, in the words of `signalbox doctor`."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from signalbox.local.places import guest_folder

#: Tasks that are looked at for workers without an agent, the newest first.
RECENT = 500
#: Where the folder is, when it is not on this machine.
_ELSEWHERE = "<SIGNALBOX_DATA of that host's controller>/guest"


def strangers(tasks: Iterable[Mapping[str, Any]]) -> list[str]:
    """The node names of workers without an agent: nobody can say on which host their tasks ran."""
    return sorted({str(task["worker"]) for task in tasks if task.get("worker") and not task.get("host")})


def folder(data: Path) -> str:
    """What to put into PYTHONPATH, as far as it can be known here."""
    here = guest_folder(data)
    return str(here) if here.is_dir() else _ELSEWHERE


def how_to_join(path: str) -> str:
    """The one variable, as people write it down."""
    return "\n".join(
        (
            "Give it one variable, and restart it; it is seen as before, and nothing else about it changes:",
            f"  systemd      Environment=PYTHONPATH={path}",
            f"  Kubernetes   env: [{{name: PYTHONPATH, value: {path}}}]",
            f"  a shell      PYTHONPATH={path} celery -A … worker …",
            "It must run on the controller's host, as the controller's user or root. In Kubernetes that is: the same",
            "pod, with shareProcessNamespace, and the data folder mounted at the same path in both containers. Where",
            "PYTHONPATH is set already, add the folder to it with a colon.",
        )
    )
