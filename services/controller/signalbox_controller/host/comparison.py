"""Comparison of tasks that the record shows as waiting with what workers hold and queues contain. Pure."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

import msgspec

from signalbox.bus.waiting import WaitingTask


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a look at the broker of an application; see `signalbox_agent.broker.waiting`."""

    #: The ids of tasks that were looked for and found.
    found: frozenset[str] = frozenset()
    #: The queues that were read as a whole.
    read: frozenset[str] = frozenset()
    #: Whether there may be queues that nobody looked at.
    others: bool = True


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """A worker of this host's configuration, and the look at its broker; None if that failed."""

    queues: tuple[str, ...]
    listing: Listing | None


class Comparison(msgspec.Struct, frozen=True):
    """The ids of tasks that are seen waiting, and of those that are certainly not there."""

    seen: tuple[str, ...]
    absent: tuple[str, ...]


def compare(
    tasks: Iterable[WaitingTask], host: str, held: AbstractSet[str], holders: Mapping[str, Holder]
) -> Comparison:
    """Compare tasks with this host; of one that is neither seen nor absent it knows nothing.

    Args:
        tasks: tasks of a question.
        host: the name of this host, which alone knows the brokers of its workers.
        held: what the workers of the host hold, all of them.
        holders: the workers of its configuration, by node name.
    """
    seen, absent = [], []
    for task in tasks:
        holder = holders.get(task.worker) if task.host == host else None
        listing = holder.listing if holder else None
        if task.task_id in held or (listing and task.task_id in listing.found):
            seen.append(task.task_id)
        elif holder and listing and _would_be_found(task, holder, listing):
            absent.append(task.task_id)
    return Comparison(tuple(seen), tuple(absent))


def _would_be_found(task: WaitingTask, holder: Holder, listing: Listing) -> bool:
    """Whether its message would have been found, were it in any queue to which it may have returned."""
    return {task.queue, *holder.queues} <= listing.read and not (task.retried and listing.others)
