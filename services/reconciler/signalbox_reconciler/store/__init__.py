"""Writing batches into the record: one transaction each, guarded in SQL, so that nothing newer is overwritten."""

from collections.abc import Collection, Iterable

from signalbox.postgres.pool import Connection, Row
from signalbox_reconciler.fold.batch import Batch
from signalbox_reconciler.fold.commands import CommandRow
from signalbox_reconciler.store.cancels import end_cancelled, settle_cancels
from signalbox_reconciler.store.commands import (
    conclude_commands,
    insert_commands,
    lock_commands,
    select_commands,
    upsert_answers,
)
from signalbox_reconciler.store.hosts import LEFT, hide, select_hosts, upsert_hosts, upsert_processes
from signalbox_reconciler.store.logs import number_attempts, select_logs, upsert_logs
from signalbox_reconciler.store.shown import Shown
from signalbox_reconciler.store.snapshots import repair
from signalbox_reconciler.store.tasks import count_attempts, select_tasks, upsert_tasks
from signalbox_reconciler.store.verdicts import reconsidered, tasks_of, upsert_verdicts

__all__ = ["Shown", "write_batch", "write_commands"]


async def write_batch(connection: Connection, batch: Batch, *, again: bool = False) -> Shown:
    """Write what a batch of events amounts to, inside the caller's transaction; answer what changed.

    With `again` the batch may have been written before without its changes having been published: all rows that
    it touches count as changed.
    """
    seen = Shown()
    command_ids = {row.command_id for row in batch.answers.values()} | batch.commands.keys()
    if waiting := [row.task_id for row in batch.tasks.values() if row.status == "pending"]:
        command_ids |= await reconsidered(connection, waiting)
    if command_ids:
        await lock_commands(connection, command_ids)
    if batch.commands:
        await insert_commands(connection, batch.commands.values(), seen)
    task_ids, ended = await _write_tasks(connection, batch, seen)
    await _write_hosts(connection, batch, seen)
    if command_ids:
        verdicts = batch.verdicts.values()
        if batch.answers:
            await upsert_answers(connection, batch.answers.values())
        await upsert_verdicts(connection, verdicts)
        await end_cancelled(connection, [row for row in verdicts if row.task_id not in ended], seen)
        about = {row.task_id for row in verdicts} | _about(batch.commands.values())
        about |= await conclude_commands(connection, command_ids, seen)
        task_ids |= (await tasks_of(connection, command_ids) if again else about) - ended
    if task_ids:
        await settle_cancels(connection, task_ids, seen)
    if again:
        await _touch(connection, batch, task_ids, seen)
    return seen


async def write_commands(connection: Connection, rows: Collection[CommandRow], *, again: bool = False) -> Shown:
    """Put commands on the audit trail, and the intent of cancels on their tasks, as `write_batch` does."""
    seen = Shown()
    command_ids = {row.command_id for row in rows}
    await lock_commands(connection, command_ids)
    await insert_commands(connection, rows, seen)
    task_ids = await conclude_commands(connection, command_ids, seen) | _about(rows)
    if task_ids:
        await settle_cancels(connection, task_ids, seen)
    if again:
        await select_commands(connection, command_ids, seen)
        seen.add("task", await select_tasks(connection, task_ids))
    return seen


def _about(rows: Iterable[CommandRow]) -> set[str]:
    return {task_id for row in rows for task_id in row.task_ids}


async def _write_tasks(connection: Connection, batch: Batch, seen: Shown) -> tuple[set[str], set[str]]:
    """Answer the ids of the tasks to which a cancel may apply that was asked for earlier, and of those that ended."""
    concerned: set[str] = set()
    ended: set[str] = set()
    if batch.tasks:
        tasks = await upsert_tasks(connection, batch.tasks.values())
        seen.add("task", tasks)
        concerned.update(row["task_id"] for row in tasks if row["wanted"] and _may_be_cancelled(row))
        ended.update(row["task_id"] for row in tasks if row["outcome"])
    if batch.logs:
        logs = await upsert_logs(connection, batch.logs.values())
        seen.add("log", logs)
        several = _runs_several(batch, logs)
        if several and (numbered := await number_attempts(connection, several)):
            seen.add("log", numbered)
            seen.add("task", await count_attempts(connection, several))
    return concerned, ended


def _may_be_cancelled(row: Row) -> bool:
    return bool(row["inserted"]) or row["status"] == "pending"


def _runs_several(batch: Batch, logs: Collection[Row]) -> set[str]:
    """The tasks that have other runs beside a new one, in the table or in this batch."""
    several = {row["task_id"] for row in logs if row["again"]}
    once: set[str] = set()
    for task_id, _ in batch.logs:
        (several if task_id in once else once).add(task_id)
    return several


async def _write_hosts(connection: Connection, batch: Batch, seen: Shown) -> None:
    if batch.hosts:
        hosts = await upsert_hosts(connection, batch.hosts.values())
        seen.add("host", hosts)
    if batch.processes:
        seen.add("process", await upsert_processes(connection, batch.processes.values()))
    if batch.snapshots:
        await repair(connection, batch.snapshots.values(), seen)
    if batch.hosts and (left := [row["name"] for row in hosts if row["state"] == "offline"]):
        await hide(connection, left, LEFT, seen)


async def _touch(connection: Connection, batch: Batch, task_ids: Collection[str], seen: Shown) -> None:
    """Add the rows that did not change this time, but may have changed the time before."""
    if tasks := {*batch.tasks, *task_ids}:
        seen.add("task", await select_tasks(connection, tasks))
    if batch.logs:
        seen.add("log", await select_logs(connection, batch.logs.keys()))
    if hosts := {*batch.hosts, *(host for host, _ in batch.processes)}:
        await select_hosts(connection, hosts, seen)
    if command_ids := {*batch.commands, *(row.command_id for row in batch.answers.values())}:
        await select_commands(connection, command_ids, seen)
