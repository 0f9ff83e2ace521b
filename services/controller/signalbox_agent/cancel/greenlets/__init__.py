"""The pools of gevent and eventlet: a task is ended with its greenlet."""

from __future__ import annotations

from typing import Any

from signalbox_agent.cancel.pool import Abilities, Context, PoolControl

ABILITIES = Abilities(takes_turns=True)


def control(pool: Any, context: Context) -> PoolControl | None:
    """The control of the pool; None where its library does not also drive the agent, as it was installed too late."""
    from signalbox_agent.cancel.greenlets.pool import greenlet_pool  # needs the library that such a pool has

    return greenlet_pool(pool, context.loop)
