"""Specs of processes, made up for unit tests."""

from pathlib import Path

import msgspec

from signalbox_controller.config.specs import ProcessSpec


def worker(name: str, label: str = "shop", app: str = "shop") -> ProcessSpec:
    """A worker as it could stand in signalbox.toml."""
    return ProcessSpec(
        name=name,
        label=label,
        app=app,
        kind="worker",
        directory=Path("/srv"),
        python="python",
        environment={},
        options=(),
        stop_timeout=30.0,
        queues=("celery",),
        concurrency=2,
        pool="prefork",
    )


def beat(name: str, label: str = "shop", app: str = "shop") -> ProcessSpec:
    """A beat as it could stand there."""
    return msgspec.structs.replace(worker(name, label, app), kind="beat", queues=(), pool="")
