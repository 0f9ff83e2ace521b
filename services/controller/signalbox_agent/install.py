"""Installs the agent as soon as Celery makes this process a worker, or beat."""

from __future__ import annotations

import atexit
import os
from typing import Any

from celery import signals

from signalbox_agent.not_installed import report
from signalbox_agent.safety import complain, guarded


def install(path: str, instance: str, *, guest: bool = False) -> None:
    """`path` is the controller's socket; `instance` the id of this launch; a `guest` was launched by somebody else."""
    here = os.getpid()

    @guarded
    def on_worker(sender: Any, **_: Any) -> None:
        if os.getpid() != here:
            return
        try:
            from signalbox_agent.worker import WorkerAgent

            agent = WorkerAgent(sender, path, instance, guest=guest)
            agent.install()
            atexit.register(agent.finish)
        except Exception as error:  # noqa: BLE001 - the worker runs on without us
            complain("the installation of the agent")
            report(path, instance, "worker", error, node=sender.hostname, guest=guest)

    @guarded
    def on_beat(sender: Any, **_: Any) -> None:
        if os.getpid() != here:  # one that a worker has embedded (-B)
            return
        try:
            from signalbox_agent.beat.beat import BeatAgent

            agent = BeatAgent(sender, path, instance)
            agent.install()
            atexit.register(agent.finish)
        except Exception as error:  # noqa: BLE001 - beat runs on without us
            complain("the installation of the agent")
            report(path, instance, "beat", error)

    signals.worker_init.connect(on_worker, weak=False)
    if not guest:
        signals.beat_init.connect(on_beat, weak=False)
