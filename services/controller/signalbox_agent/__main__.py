"""`python -m signalbox_agent <what one would give to celery>`: Celery, with the agent in it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """Install the agent when a controller launched us, and become `celery`."""
    path = os.environ.pop("SIGNALBOX_AGENT_SOCKET", "")
    instance = os.environ.pop("SIGNALBOX_INSTANCE", "")
    clean_pythonpath()
    # Messages, process titles and a restart by HUP are to read as without us.
    sys.modules["__main__"].__package__ = ""
    script = Path(sys.executable).with_name("celery")
    sys.argv[0] = str(script) if script.exists() else "celery"
    if path and instance:
        # gevent and eventlet must replace parts of the standard library before anything takes hold of them.
        from celery import maybe_patch_concurrency

        maybe_patch_concurrency()
        _install(path, instance)
    from celery.__main__ import main as celery

    celery()


def _install(path: str, instance: str) -> None:
    try:
        from signalbox_agent.install import install

        install(path, instance)
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
