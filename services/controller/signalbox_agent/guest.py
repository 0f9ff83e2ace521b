"""Guest: the agent in a worker that no controller launched; see `sitecustomize`."""

from __future__ import annotations

import os
import secrets

from signalbox_agent.install import install as install_agent
from signalbox_agent.proc import identify


def install(path: str) -> None:
    """`path` is the controller's socket; there may never be anybody at it."""
    install_agent(path, instance_of(os.getpid()), guest=True)


def instance_of(pid: int) -> str:
    """An id of our own making. It names the process; the rest tells apart the lives of one that HUP starts anew."""
    proc = identify(pid)
    return f"{pid}-{proc.started if proc else 0}-{secrets.token_hex(4)}"
