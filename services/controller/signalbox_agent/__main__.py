"""`python -m signalbox_agent <what one would give to celery>`: Celery, with the agent in it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from time import monotonic, sleep

from signalbox_agent.cgroup import Cgroup

#: Seconds within which the controller moves a process of another user, right after its launch.
MOVED_WITHIN = 2.0


def main() -> None:
    """Install the agent when a controller launched us, and become `celery`."""
    path = os.environ.pop("SIGNALBOX_AGENT_SOCKET", "")
    instance = os.environ.pop("SIGNALBOX_INSTANCE", "")
    cgroup = _enter(os.environ.pop("SIGNALBOX_CGROUP", ""))
    clean_pythonpath()
    # Messages, process titles and a restart by HUP are to read as without us.
    sys.modules["__main__"].__package__ = ""
    script = Path(sys.executable).with_name("celery")
    sys.argv[0] = str(script) if script.exists() else "celery"
    if path and instance:
        # gevent and eventlet must replace parts of the standard library before anything takes hold of them.
        from celery import maybe_patch_concurrency

        maybe_patch_concurrency()
        _install(path, instance, cgroup)
    from celery.__main__ import main as celery

    celery()


def _enter(path: str) -> str:
    """Enter the cgroup of this launch before anything else is done; answer its path, empty when that fails."""
    if path:
        try:
            _enter_or_wait(Cgroup(path))
        except OSError as error:
            sys.stderr.write(f"Signalbox: what tasks start is searched for, not contained: {error}\n")
            return ""
    return path


def _enter_or_wait(cgroup: Cgroup) -> None:
    """Enter it; where this process runs as another user than the controller, wait for that to move us.

    Raises:
        OSError: neither has come about.
    """
    try:
        cgroup.enter()
    except PermissionError:
        end = monotonic() + MOVED_WITHIN
        while not cgroup.has(os.getpid()):
            if monotonic() > end:
                raise
            sleep(0.005)


def _install(path: str, instance: str, cgroup: str) -> None:
    try:
        from signalbox_agent.install import install

        install(path, instance, cgroup=cgroup)
    except Exception as error:  # noqa: BLE001 - Celery runs on without us
        from signalbox_agent.not_installed import report

        sys.stderr.write(f"Signalbox: no agent in this process, which is not affected: {error!r}\n")
        report(path, instance, "beat" if "beat" in sys.argv else "worker", error)


def clean_pythonpath() -> None:
    """Take our folder off PYTHONPATH, which is not for what the user's tasks launch."""
    ours = Path(__file__).parents[1].resolve()
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    rest = [folder for folder in folders if folder and Path(folder).resolve() != ours]
    if rest:
        os.environ["PYTHONPATH"] = os.pathsep.join(rest)
    else:
        os.environ.pop("PYTHONPATH", None)


if __name__ == "__main__":
    main()
