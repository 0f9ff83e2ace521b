"""External workers, launched by others: which of them lack the agent, and how they get it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from signalbox.errors import SignalboxError
from signalbox.local.ask import ask
from signalbox.local.places import guest_folder
from signalbox.local.protocol import FindUnseen, Unseen

#: The newest tasks, in which `signalbox doctor` looks for workers without an agent.
RECENT = 500
#: Seconds in which a controller looks through the process table.
LOOK_WITHIN = 5.0
#: The folder of a controller that does not run on this machine.
_ELSEWHERE = "<SIGNALBOX_DATA of that host's controller>/guest"


def without_agent(tasks: Iterable[Mapping[str, Any]]) -> list[str]:
    """The node names of workers without an agent: their tasks have no host."""
    return sorted({str(task["worker"]) for task in tasks if task.get("worker") and not task.get("host")})


def find_unseen(data: Path) -> Unseen | None:
    """The workers that no agent speaks for; None where this machine has no controller that could say so."""
    try:
        reply = ask(data, FindUnseen(), LOOK_WITHIN)
    except SignalboxError:
        return None
    return reply if isinstance(reply, Unseen) else None


def python_path(data: Path) -> str:
    """The value of PYTHONPATH that gives a worker the agent, as far as it can be known here."""
    here = guest_folder(data)
    return str(here) if here.is_dir() else _ELSEWHERE


def instructions(path: str) -> str:
    """How a worker gets this PYTHONPATH in the usual places."""
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
