"""Entry point of the group `celery.commands`, which Celery's command line loads before it becomes a worker.

The guest folder declares it (`external/folder.py` of the controller), so a worker with that folder on its PYTHONPATH
gets the agent also where another `sitecustomize` hides ours: that of `opentelemetry-instrument`, or one's own. The
command that it has to be does nothing but say so.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from celery.bin.base import CeleryCommand

#: The guest folder.
_HERE = Path(__file__).parents[1]


def _install() -> None:
    from signalbox_agent.guest import install
    from signalbox_agent.install import is_installed

    if not is_installed():
        install(os.environ.get("SIGNALBOX_AGENT_SOCKET") or (_HERE / "socket").read_text(encoding="utf-8").strip())


def _say() -> None:
    sys.stdout.write(f"Workers that are launched with {_HERE} on their PYTHONPATH join Signalbox.\n")


try:
    _install()
except Exception as error:  # noqa: BLE001 - the user's worker is not ours to break
    sys.stderr.write(f"Signalbox: no agent in this worker, which is not affected: {error!r}\n")

command = CeleryCommand("signalbox", callback=_say, help="Say how workers join Signalbox.", hidden=True)
