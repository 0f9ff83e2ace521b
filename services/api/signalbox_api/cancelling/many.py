"""Cancel of many tasks: one query of the record chooses them, one command cancels them."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from operator import not_

import msgspec

from signalbox.bus.presence import present
from signalbox.client.bulk import Progress
from signalbox.client.commander import Issuer
from signalbox.client.results import BulkResult, CancelResult
from signalbox.errors import DatabaseUnavailable
from signalbox.messages.ids import task_key
from signalbox.messages.receipts import TaskVerdict
from signalbox_api.answers import bulk_cancel, cancel
from signalbox_api.answers.bodies import CancelTasksBody
from signalbox_api.answers.bulk_cancel import BulkAnswer, BulkPreview, BulkTask
from signalbox_api.answers.cancel import Case
from signalbox_api.cancelling.polling import poll
from signalbox_api.record.task_filter import TaskFilter
from signalbox_api.record.task_lists import Matches, match_tasks
from signalbox_api.record.views import KnownTask, find_tasks, unfinished_of
from signalbox_api.services import Services

#: Seconds to wait for the proof by default.
PROOF_WAIT = 30.0
#: Seconds that the record may lag behind the proof before we answer without it.
RECORD_WAIT = 5.0
#: Tasks whose outcomes are made in one go; other requests have their turn between two of them.
SLICE = 500

#: The tasks in the record; None while it cannot be read.
Known = Mapping[str, KnownTask] | None


async def preview(services: Services, body: CancelTasksBody) -> BulkPreview:
    """Count the tasks that a cancel would hit now.

    Raises:
        DatabaseUnavailable: the record cannot be read.
    """
    return bulk_cancel.preview(await _matches(services, body), body.limit)


async def cancel_many(
    services: Services, body: CancelTasksBody, issuer: Issuer, on_progress: Progress | None = None
) -> tuple[int, BulkAnswer]:
    """Cancel tasks; return the HTTP status and the answer.

    Raises:
        BusUnavailable: nothing is known to have been cancelled.
        DatabaseUnavailable: a filter was given, and the record cannot be read.
    """
    matches = await _matches(services, body) if body.filter else None
    chosen = [task.task_id for task in matches.tasks] if matches else body.task_ids or []
    given = {task_key(task_id): task_id for task_id in chosen}
    task_ids = list(given)
    known = await _known(services, task_ids)
    outcomes = _outcomes_of_record(services, task_ids, known)
    result = await services.commander.cancel_many(
        [task_id for task_id in task_ids if task_id not in outcomes],
        issuer,
        selection=bulk_cancel.selection(body.filter) if body.filter else "",
        grace=body.grace,
        wait=PROOF_WAIT if body.wait is None else body.wait,
        record_wait=0.0 if known is None or _awaited(services) else RECORD_WAIT,
        on_progress=on_progress,
    )
    outcomes |= await _outcomes_of_hosts(services, result, known)
    matched = matches.total if matches else None
    tasks = [_under(outcomes[key], task_id) for key, task_id in given.items()]
    recorded = result.recorded or await _all_finished(services, result, known)
    return bulk_cancel.answer(tasks, result.command_ids, matched=matched, recorded=recorded)


def _under(task: BulkTask, task_id: str) -> BulkTask:
    """The outcome under the id that the caller gave."""
    return task if task.task_id == task_id else msgspec.structs.replace(task, task_id=task_id)


def _awaited(services: Services) -> str:
    """The part that the record waits for, in words; empty when it waits for none."""
    return services.probes.vouch("database", "reconciler").awaited


async def _all_finished(services: Services, result: BulkResult, known: Known) -> bool:
    """Whether the record shows the end of every task that it knows."""
    if not known:
        return False
    ids = [task.task_id for task in result.tasks if task.task_id in known]
    try:
        return not await services.record.read(partial(unfinished_of, task_ids=ids))
    except DatabaseUnavailable:
        return False


async def _matches(services: Services, body: CancelTasksBody) -> Matches:
    ids = tuple(map(task_key, body.task_ids or ()))
    if body.filter is None and not ids:  # a filter without any would mean every task
        return Matches(tasks=[], total=0, running=0)
    given = body.filter.model_dump() if body.filter else {"task_ids": ids}
    filters, limit = TaskFilter(**given, unfinished=True), body.limit if body.filter else len(ids)
    return await services.lists(filters).read(lambda connection: match_tasks(connection, filters, limit))


async def _known(services: Services, task_ids: Sequence[str]) -> Known:
    try:
        return await services.record.read(lambda connection: find_tasks(connection, task_ids))
    except DatabaseUnavailable:
        return None


def _outcomes_of_record(services: Services, task_ids: Sequence[str], known: Known) -> dict[str, BulkTask]:
    """The outcomes for which no host is asked: the task is over, or the text is no task id."""
    outcomes: dict[str, BulkTask] = {}
    for task_id in task_ids:
        case = _case(services, task_id, known, frozenset())
        over = bulk_cancel.from_record(case)
        if over is not None:
            outcomes[task_id] = over
        elif not task_id or (case.record_up and case.task is None and not cancel.is_uuid(task_id)):
            outcomes[task_id] = bulk_cancel.no_task_id(task_id)
    return outcomes


def _case(services: Services, task_id: str, known: Known, hosts: frozenset[str]) -> Case:
    task = known.get(task_id) if known else None
    host = task.task.host if task else None
    return Case(
        task_id=task_id,
        known=task,
        record_up=known is not None,
        awaited=_awaited(services),
        host_present=host is None or host in hosts,
        away=frozenset(task.running_on) - hosts if task else frozenset(),
        refused_for=services.refused_for,
    )


async def _outcomes_of_hosts(services: Services, result: BulkResult, known: Known) -> dict[str, BulkTask]:
    hosts = await present(services.redis)
    if known is not None:
        known = await _read_again(services, result, known)
    outcomes: dict[str, BulkTask] = {}
    for number, verdict in enumerate(result.tasks):
        outcomes[verdict.task_id] = bulk_cancel.from_hosts(
            _case(services, verdict.task_id, known, hosts), _of_one(result, verdict)
        )
        if number % SLICE == SLICE - 1:
            await asyncio.sleep(0)
    return outcomes


def _of_one(result: BulkResult, verdict: TaskVerdict) -> CancelResult:
    silent = verdict.verdict == "unproven" and not verdict.detail
    return CancelResult(
        task_id=verdict.task_id,
        command_id=result.command_ids[0],
        verdict=None if silent else verdict.verdict,
        detail=verdict.detail,
        task_name=verdict.task_name,
        proof=verdict.proof,
        recorded=result.recorded,
        silent=result.silent,
    )


async def _read_again(services: Services, result: BulkResult, known: Mapping[str, KnownTask]) -> Known:
    """The tasks in the record, once it has caught up with the hosts, or after `RECORD_WAIT`."""
    open_ids: list[str] = [
        task.task_id
        for task in result.tasks
        if task.verdict in {"unknown", "finished", "unproven"} and task.task_id in known
    ]
    unfinished = partial(services.record.read, partial(unfinished_of, task_ids=open_ids))
    try:
        if open_ids:
            await poll(unfinished, not_, RECORD_WAIT)
        finished = await services.record.read(partial(find_tasks, task_ids=open_ids))
    except DatabaseUnavailable:
        return known
    return {**known, **finished}
