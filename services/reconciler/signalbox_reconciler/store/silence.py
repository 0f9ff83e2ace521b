"""What no message will say. Each look is a transaction of its own, so that none waits while it holds locks."""

from collections.abc import Awaitable, Callable

from signalbox.postgres.pool import Connection
from signalbox_reconciler.store.cancels import settle_cancels, unsettled
from signalbox_reconciler.store.commands import conclude_answered, expire_commands
from signalbox_reconciler.store.hosts import forget_guests, silence_hosts
from signalbox_reconciler.store.lost import lose_unheard
from signalbox_reconciler.store.shown import Shown
from signalbox_reconciler.store.verdicts import forget_cancels

#: A look at the record as it is; what it changes goes to the second argument.
Look = Callable[[Connection, Shown], Awaitable[None]]

#: Seconds without a word after which a host is unknown: four of its heartbeats. With a round of the sweep it takes
#: less than ten seconds from the last word.
SILENCE = 8.0
#: Seconds for which a worker that others launched is shown after it has ended.
GUESTS_SHOWN = 3600.0


async def look_at_hosts(connection: Connection, seen: Shown) -> None:
    """Hosts of which nothing is heard are unknown, and so is what runs on them."""
    await silence_hosts(connection, SILENCE, seen)
    await forget_guests(connection, GUESTS_SHOWN)


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


def looks(lost_after: float, remember_cancelled: float) -> tuple[Look, ...]:
    """All of them, in order.

    What ran on a host that is silent for `lost_after` seconds is given up; which tasks a cancel was about is forgotten
    `remember_cancelled` seconds after it. Durations are in seconds.
    """

    async def look_at_lost(connection: Connection, seen: Shown) -> None:
        await lose_unheard(connection, lost_after, seen)

    async def look_at_old(connection: Connection, _: Shown) -> None:
        await forget_cancels(connection, remember_cancelled)

    return look_at_hosts, look_at_lost, look_at_answers, look_at_deadlines, look_at_tasks, look_at_old
