"""The prefork pool: a task is ended with the process that runs it."""

from __future__ import annotations

from typing import Any

from signalbox_agent.cancel.pool import Abilities, Context, PoolControl

ABILITIES = Abilities(answers_while_busy=True)


def control(pool: Any, context: Context) -> PoolControl | None:
    """The control of the pool; without Celery's event loop nobody could end one task in it."""
    from signalbox_agent.cancel.prefork.control import PreforkControl

    return PreforkControl(pool, context) if context.has_hub else None
