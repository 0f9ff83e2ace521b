"""Whole runs: what the line of a final event tells besides, so that it stands for all events of its run."""

from __future__ import annotations

from datetime import datetime

from signalbox_agent.tasks.events import origin_of
from signalbox_agent.tasks.runs import Run


def receipt(run: Run, at: float, eta: datetime | None, root_id: str | None, parent_id: str | None) -> str:
    """The field that stands for its TaskReceived; to be called before it begins, as that changes its key."""
    return f',"received":{{"at":{at:.6f},"run":"{run.key}",{origin_of(eta, root_id, parent_id)}}}'


def fields(run: Run, receipt: str) -> str:
    """The fields that stand for its TaskStarted, and its receipt unless that was sent before."""
    late = ',"acks_late":true' if run.acks_late else ""
    return f"{run.arguments}{late}{receipt}"
