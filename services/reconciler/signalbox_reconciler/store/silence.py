"""What no message will say. Each look is a transaction of its own, so that none waits while it holds locks."""

from collections.abc import Awaitable, Callable

from signalbox.postgres.pool import Connection
from signalbox_reconciler.store.cancels import settle_cancels, unsettled
from signalbox_reconciler.store.commands import conclude_answered, expire_commands
from signalbox_reconciler.store.hosts import silence_hosts
from signalbox_reconciler.store.shown import Shown

#: Seconds without a word after which a host is unknown: five of its heartbeats.
SILENCE = 10.0


async def look_at_hosts(connection: Connection, seen: Shown) -> None:
    """Hosts of which nothing is heard are unknown, and so is what runs on them."""
    await silence_hosts(connection, SILENCE, seen)


async def look_at_answers(connection: Connection, seen: Shown) -> None:
    """Commands that were answered in full by now have come to something."""
    if task_ids := await conclude_answered(connection, seen):
        await settle_cancels(connection, task_ids, seen)


async def look_at_deadlines(connection: Connection, seen: Shown) -> None:
    """Commands that are overdue have come to nothing."""
    if task_ids := await expire_commands(connection, seen):
        await settle_cancels(connection, task_ids, seen)


async def look_at_tasks(connection: Connection, seen: Shown) -> None:
    """Tasks show what their cancels mean for them, also where both were recorded at the same moment."""
    if task_ids := await unsettled(connection):
        await settle_cancels(connection, task_ids, seen)


LOOKS: tuple[Callable[[Connection, Shown], Awaitable[None]], ...] = (
    look_at_hosts,
    look_at_answers,
    look_at_deadlines,
    look_at_tasks,
)
