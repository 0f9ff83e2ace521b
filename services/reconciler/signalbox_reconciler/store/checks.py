"""Checks of the record that no event triggers; each in its own transaction, so that none waits while it holds locks."""

from collections.abc import Awaitable, Callable, Collection
from functools import partial

from signalbox.bus.presence import SILENCE
from signalbox.postgres.pool import Connection
from signalbox_reconciler.store.cancels import apply_cancels, unapplied_cancels
from signalbox_reconciler.store.commands import conclude_answered, expire_commands
from signalbox_reconciler.store.confirmations import forget_epochs
from signalbox_reconciler.store.forgotten import forget_silent_hosts
from signalbox_reconciler.store.hosts import delete_ended_external, mark_silent_hosts
from signalbox_reconciler.store.lost import mark_lost_on_silent_hosts
from signalbox_reconciler.store.verdicts import forget_cancels
from signalbox_reconciler.store.views import ChangedViews
from signalbox_reconciler.store.waiting import judge_rounds

#: A check of the record as it is; adds what it changed to the second argument.
Check = Callable[[Connection, ChangedViews], Awaitable[None]]

#: Seconds without a heartbeat, of which there is one every two seconds, after which a host is unknown. With a round
#: of the sweep it takes less than ten seconds from the last heartbeat.
HOST_TIMEOUT = SILENCE
#: Seconds for which an external worker is shown after its end.
EXTERNAL_SHOWN = 3600.0


async def check_hosts(connection: Connection, changed: ChangedViews) -> None:
    """Mark silent hosts, and what runs on them, as unknown."""
    await mark_silent_hosts(connection, HOST_TIMEOUT, changed)
    await delete_ended_external(connection, EXTERNAL_SHOWN, changed)
    await forget_epochs(connection)


async def fold_counts(connection: Connection) -> None:
    """Fold what was added to the counts of tasks into their sums; see migration 0016."""
    await connection.execute("SELECT fold_task_counts()")


async def _apply_cancels(
    find: Callable[[Connection, ChangedViews], Awaitable[Collection[str]]],
    connection: Connection,
    changed: ChangedViews,
) -> None:
    """Apply the cancels of the tasks that `find` returns."""
    if task_ids := await find(connection, changed):
        await apply_cancels(connection, task_ids, changed)


def checks(lost_after: float, forget_after: float, remember_cancelled: float) -> tuple[Check, ...]:
    """All checks, in order.

    The runs of a host that is silent for `lost_after` seconds are given up, and the host is forgotten after
    `forget_after` seconds. The tasks of a cancel are deleted `remember_cancelled` seconds after it.
    """
    return (
        check_hosts,
        lambda connection, changed: forget_silent_hosts(connection, forget_after, changed),
        partial(mark_lost_on_silent_hosts, after=lost_after),
        judge_rounds,
        *(partial(_apply_cancels, find) for find in (conclude_answered, expire_commands, unapplied_cancels)),
        lambda connection, _changed: forget_cancels(connection, remember_cancelled),
    )
