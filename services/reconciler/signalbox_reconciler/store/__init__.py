"""Store of the record: writes a batch in one transaction, guarded in SQL so that nothing newer is overwritten."""

from collections.abc import Collection, Iterable

from signalbox.messages.events import HostSeen
from signalbox.postgres.pool import Connection, Row
from signalbox_reconciler.fold.batch import Batch
from signalbox_reconciler.fold.commands import CommandRow
from signalbox_reconciler.fold.hosts import host_seen
from signalbox_reconciler.partitions.placing import settle
from signalbox_reconciler.store.allows import insert_allows
from signalbox_reconciler.store.cancels import apply_cancels, end_cancelled
from signalbox_reconciler.store.commands import (
    conclude_commands,
    insert_commands,
    lock_commands,
    upsert_answers,
)
from signalbox_reconciler.store.forgotten import forget_hosts
from signalbox_reconciler.store.hosts import (
    LEFT,
    lock_confirmed,
    mark_heard,
    mark_unknown,
    retire,
    upsert_hosts,
    upsert_processes,
)
from signalbox_reconciler.store.runs import number_attempts, select_logs, upsert_logs, upsert_waits
from signalbox_reconciler.store.snapshots import repair
from signalbox_reconciler.store.tasks import lock_tasks, show_liveliest, upsert_tasks
from signalbox_reconciler.store.verdicts import cancels_to_reconsider, tasks_of
from signalbox_reconciler.store.views import ChangedViews
from signalbox_reconciler.store.waiting import apply_comparisons

__all__ = ["ChangedViews", "write_batch", "write_commands"]


async def write_batch(
    connection: Connection, batch: Batch, *, redelivered: bool = False, repeated: Collection[HostSeen] = ()
) -> ChangedViews:
    """Write a folded batch inside the caller's transaction; return what changed.

    `repeated` are heartbeats that say nothing new, of hosts that the batch has no other heartbeat of; such a one joins
    the batch if it is new to the record.
    With `redelivered`, the batch may have been written before without publishing its changes: all rows that it
    touches count as changed.
    """
    changed = ChangedViews()
    command_ids = {row.command_id for row in batch.answers.values()} | batch.commands.keys()
    if waiting := [row.task_id for row in batch.tasks.values() if row.status == "pending"]:
        command_ids |= await cancels_to_reconsider(connection, waiting)
    if command_ids:
        await lock_commands(connection, command_ids)
    if batch.commands:
        await insert_commands(connection, batch.commands.values(), changed)
        await insert_allows(connection, batch.commands.values())
    task_ids, ended = await _write_tasks(connection, batch, changed)
    if snapshots := [*batch.snapshots.values(), *repeated]:
        await repair(connection, snapshots, changed)
    await apply_comparisons(connection, batch.comparisons.values(), changed)
    if batch.hosts or repeated:
        await _write_hosts(connection, batch, repeated, changed)
    elif batch.processes:
        changed.add("process", await upsert_processes(connection, batch.processes.values()))
    if command_ids:
        verdicts = batch.verdicts.values()
        await upsert_answers(connection, batch.answers.values(), verdicts)
        await end_cancelled(connection, [row for row in verdicts if row.task_id not in ended], changed)
        about = {row.task_id for row in verdicts} | _about(batch.commands.values())
        about |= await conclude_commands(connection, command_ids, changed)
        task_ids |= (await tasks_of(connection, command_ids) if redelivered else about) - ended
    if task_ids:
        await apply_cancels(connection, task_ids, changed)
    await settle(connection, changed.to_settle())
    if redelivered:
        await _touch(connection, batch, task_ids, changed)
    return changed


async def write_commands(
    connection: Connection, rows: Collection[CommandRow], *, redelivered: bool = False
) -> ChangedViews:
    """Put commands on the audit trail, and the intent of cancels on their tasks, as `write_batch` does."""
    changed = ChangedViews()
    command_ids = {row.command_id for row in rows}
    await lock_commands(connection, command_ids)
    await insert_commands(connection, rows, changed)
    await forget_hosts(connection, rows, changed)
    task_ids = await insert_allows(connection, rows)
    task_ids |= await conclude_commands(connection, command_ids, changed) | _about(rows)
    if task_ids:
        await apply_cancels(connection, task_ids, changed)
    await settle(connection, changed.to_settle())
    if redelivered:
        await changed.add_current(connection, "command", command_ids)
        await changed.add_current(connection, "task", task_ids)
    return changed


def _about(rows: Iterable[CommandRow]) -> set[str]:
    return {task_id for row in rows for task_id in row.task_ids}


async def _write_tasks(connection: Connection, batch: Batch, changed: ChangedViews) -> tuple[set[str], set[str]]:
    """Return the ids of the tasks to which an earlier cancel may apply, and of those that ended.

    A new task has no runs but those of the batch, and shows the liveliest of them already.
    """
    if not batch.tasks:
        return set(), set()
    tasks = {row["task_id"]: row for row in await upsert_tasks(connection, batch.tasks.values(), changed)}
    inserted = {task_id for task_id, row in tasks.items() if row["inserted"]}
    known = batch.tasks.keys() - inserted
    await _write_runs(connection, batch, known, changed)
    to_show = known | batch.with_several_runs()
    tasks |= {row["task_id"]: row for row in await show_liveliest(connection, to_show)}
    changed.add("task", tasks.values())
    concerned = {key for key, row in tasks.items() if row["has_cancel"] and _may_be_cancelled(row, inserted)}
    return concerned, {task_id for task_id, row in tasks.items() if row["outcome"]}


async def _write_runs(connection: Connection, batch: Batch, known: Collection[str], changed: ChangedViews) -> None:
    """Write the runs; `known` are the ids of the tasks that the record had before."""
    if batch.logs:
        logs = await upsert_logs(connection, batch.logs.values(), known)
        changed.add("log", logs)
        if several := _with_several_runs(batch, logs):
            changed.add("log", await number_attempts(connection, several))
    if batch.waits:
        await upsert_waits(connection, batch.waits.values())


def _may_be_cancelled(row: Row, inserted: Collection[str]) -> bool:
    return row["task_id"] in inserted or row["status"] in {"pending", "running"}


def _with_several_runs(batch: Batch, logs: Collection[Row]) -> set[str]:
    """The tasks that have other runs than a new one, in the table or in this batch."""
    several = {row["task_id"] for row in logs if row["has_others"]}
    once: set[str] = set()
    for task_id, _ in batch.logs:
        (several if task_id in once else once).add(task_id)
    return several


async def _write_hosts(
    connection: Connection, batch: Batch, repeated: Collection[HostSeen], changed: ChangedViews
) -> None:
    """Write hosts and their processes. Tasks are locked before hosts everywhere, or two writers stop each other."""
    leaving = [row.name for row in batch.hosts.values() if not row.online]
    task_ids = await lock_confirmed(connection, leaving, changed) if leaving else set[str]()
    if concerned := {row.task_id for row in batch.verdicts.values()} | _about(batch.commands.values()):
        await lock_tasks(connection, concerned, changed)
    if repeated:
        for seen in await mark_heard(connection, repeated, batch.hosts):
            host_seen(seen, batch)
    hosts = await upsert_hosts(connection, batch.hosts.values()) if batch.hosts else []
    changed.add("host", hosts)
    if batch.processes:
        changed.add("process", await upsert_processes(connection, batch.processes.values()))
    if batch.snapshots:
        await retire(connection, batch.snapshots.values(), changed)
    if left := [row["name"] for row in hosts if row["state"] == "offline"]:
        await mark_unknown(connection, left, LEFT, task_ids, changed)


async def _touch(connection: Connection, batch: Batch, task_ids: Collection[str], changed: ChangedViews) -> None:
    """Add rows that did not change this time, but may have changed the time before."""
    if tasks := {*batch.tasks, *task_ids}:
        await changed.add_current(connection, "task", tasks)
    if batch.logs:
        changed.add("log", await select_logs(connection, batch.logs.keys()))
    if hosts := {*batch.hosts, *(host for host, _ in batch.processes)}:
        await changed.add_current(connection, "host", hosts)
        await changed.add_current(connection, "process", hosts)
    if command_ids := {*batch.commands, *(row.command_id for row in batch.answers.values())}:
        await changed.add_current(connection, "command", command_ids)
