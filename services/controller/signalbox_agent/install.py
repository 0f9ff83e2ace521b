"""Installs the agent as soon as Celery makes this process a worker, or beat."""

from __future__ import annotations

import atexit
import os
from typing import Any

from celery import signals

from signalbox_agent.not_installed import report
from signalbox_agent.safety import complain, guarded
from signalbox_agent.tasks.privacy import redact_log

#: The pid of the process in which that was done: a worker of ours may have the guest folder on its PYTHONPATH, too, and
#: an external one gets the agent in two ways.
_installed = 0


def is_installed() -> bool:
    """Whether it is installed in this process."""
    return _installed == os.getpid()


def install(path: str, instance: str, *, guest: bool = False, cgroup: str = "") -> None:
    """Install it; the first call counts.

    Args:
        path: the controller's socket.
        instance: the id of this launch.
        guest: launched by somebody else than a controller.
        cgroup: the path of the one that this process is in, if the controller has made it for this launch.
    """
    global _installed  # noqa: PLW0603 - one process, one agent
    if is_installed():
        return
    _installed = here = os.getpid()

    @guarded
    def begin(sender: Any, signal: Any, **_: Any) -> None:
        if os.getpid() != here:  # a beat that a worker has embedded (-B)
            return
        worker = signal is signals.worker_init
        try:
            agent: Any
            if worker:
                from signalbox_agent.worker import WorkerAgent

                agent = WorkerAgent(sender, path, instance, guest=guest, cgroup=cgroup)
            else:
                from signalbox_agent.beat.beat import BeatAgent

                agent = BeatAgent(sender, path, instance)
            agent.install()
            atexit.register(agent.finish)
        except Exception as error:  # noqa: BLE001 - worker or beat run on without us
            complain("the installation of the agent")
            kind, node = ("worker", sender.hostname) if worker else ("beat", "")
            report(path, instance, kind, error, node=node, guest=guest)

    for ready in (signals.after_setup_logger, signals.after_setup_task_logger):
        ready.connect(redact_log, weak=False)
    signals.worker_init.connect(begin, weak=False)
    if not guest:
        signals.beat_init.connect(begin, weak=False)
