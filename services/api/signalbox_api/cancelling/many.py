"""Cancel of many tasks: one query of the record chooses them, one command cancels them."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from operator import not_

from signalbox.bus.presence import present
from signalbox.client.bulk import Progress
from signalbox.client.core import Issuer
from signalbox.client.results import BulkResult, CancelResult
from signalbox.errors import DatabaseUnavailable
from signalbox.messages.receipts import TaskVerdict
from signalbox_api.answers import bulk, decisions
from signalbox_api.answers.bodies import CancelTasksBody, TasksFilter
from signalbox_api.answers.bulk import BulkAnswer, BulkPreview, BulkTask
from signalbox_api.answers.decisions import Case
from signalbox_api.cancelling.polling import poll
from signalbox_api.record.views import KnownTask, Matches, TaskFilter, find_tasks, match_tasks, unfinished_of
from signalbox_api.services import Services

#: Seconds to wait for the proof when the caller does not say.
PROOF_WAIT = 30.0
#: Seconds that the record may lag behind the proof before we answer without it.
RECORD_WAIT = 5.0
#: Tasks that are put into words in one go; between two of them other requests have their turn.
SLICE = 500

#: What the record knows of the tasks; None while it cannot be asked.
Known = Mapping[str, KnownTask] | None


async def look(services: Services, body: CancelTasksBody) -> BulkPreview:
    """What would be cancelled now.

    Raises:
        DatabaseUnavailable: the record cannot say what there is.
    """
    return bulk.preview(await _matches(services, body), body.limit)


async def cancel_many(
    services: Services, body: CancelTasksBody, issuer: Issuer, on_progress: Progress | None = None
) -> tuple[int, BulkAnswer]:
    """Cancel the tasks; the HTTP status and the answer.

    Raises:
        BusUnavailable: nothing is known to have been cancelled.
        DatabaseUnavailable: a filter was given, and the record cannot say what matches it.
    """
    matches = await _matches(services, body) if body.filter else None
    chosen = [task.task_id for task in matches.tasks] if matches else body.task_ids or []
    task_ids = list(dict.fromkeys(chosen))
    known = await _known(services, [task_id for task_id in task_ids if decisions.may_be_task_id(task_id)])
    told = _told_already(services, task_ids, known)
    result = await services.commander.cancel_many(
        [task_id for task_id in task_ids if task_id not in told],
        issuer,
        selection=bulk.selection(body.filter) if body.filter else "",
        grace=body.grace,
        wait=PROOF_WAIT if body.wait is None else body.wait,
        record_wait=0.0 if known is None else RECORD_WAIT,
        on_progress=on_progress,
    )
    told |= await _told(services, result, known)
    matched = matches.total if matches else None
    tasks = [told[task_id] for task_id in task_ids]
    recorded = result.recorded or await _all_over(services, result, known)
    return bulk.answer(tasks, result.command_ids, matched=matched, recorded=recorded)


async def _all_over(services: Services, result: BulkResult, known: Known) -> bool:
    """Whether the record shows all of it, whoever told it so."""
    if not known:
        return False
    ids = [task.task_id for task in result.tasks if task.task_id in known]
    try:
        return not await services.record.read(partial(unfinished_of, task_ids=ids))
    except DatabaseUnavailable:
        return False


async def _matches(services: Services, body: CancelTasksBody) -> Matches:
    if body.filter is None:
        return await _matches_of_ids(services, body.task_ids or [])
    wanted = _wanted(body.filter)
    return await services.record.read(lambda connection: match_tasks(connection, wanted, body.limit))


async def _matches_of_ids(services: Services, task_ids: Sequence[str]) -> Matches:
    ids = tuple(filter(decisions.may_be_task_id, task_ids))
    if not ids:  # a filter without any would mean every task
        return Matches(tasks=[], total=0, running=0)
    wanted = TaskFilter(unfinished=True, task_ids=ids)
    return await services.record.read(lambda connection: match_tasks(connection, wanted, len(ids)))


def _wanted(chosen: TasksFilter) -> TaskFilter:
    return TaskFilter(
        status=chosen.status,
        name=chosen.name,
        host=chosen.host,
        queue=chosen.queue,
        q=chosen.q,
        older_than=chosen.older_than,
        unfinished=True,
    )


async def _known(services: Services, task_ids: Sequence[str]) -> Known:
    try:
        return await services.record.read(lambda connection: find_tasks(connection, task_ids))
    except DatabaseUnavailable:
        return None


def _told_already(services: Services, task_ids: Sequence[str], known: Known) -> dict[str, BulkTask]:
    """Those that nobody needs to be asked about: they are over, or not the ids of tasks."""
    told: dict[str, BulkTask] = {}
    for task_id in task_ids:
        case = _case(services, task_id, known, frozenset())
        over = bulk.told_by_record(case)
        if over is not None:
            told[task_id] = over
        elif not decisions.may_be_task_id(task_id) or (
            case.record_up and case.task is None and not decisions.is_uuid(task_id)
        ):
            told[task_id] = bulk.no_task_id(task_id)
    return told


def _case(services: Services, task_id: str, known: Known, hosts: frozenset[str]) -> Case:
    task = known.get(task_id) if known else None
    host = task.task.host if task else None
    return Case(
        task_id=task_id,
        known=task,
        record_up=known is not None,
        host_present=host is None or host in hosts,
        refused_for=services.refused_for,
    )


async def _told(services: Services, result: BulkResult, known: Known) -> dict[str, BulkTask]:
    hosts = await present(services.redis)
    if known is not None:
        known = await _look_again(services, result, known)
    told: dict[str, BulkTask] = {}
    for number, verdict in enumerate(result.tasks):
        told[verdict.task_id] = bulk.told(_case(services, verdict.task_id, known, hosts), _of_one(result, verdict))
        if number % SLICE == SLICE - 1:
            await asyncio.sleep(0)
    return told


def _of_one(result: BulkResult, verdict: TaskVerdict) -> CancelResult:
    silent = verdict.verdict == "unproven" and not verdict.detail
    return CancelResult(
        task_id=verdict.task_id,
        command_id=result.command_ids[0],
        verdict=None if silent else verdict.verdict,
        detail=verdict.detail,
        task_name=verdict.task_name,
        recorded=result.recorded,
        silent=result.silent,
    )


async def _look_again(services: Services, result: BulkResult, known: Mapping[str, KnownTask]) -> Known:
    """The record of those that no host runs, once it has caught up with the hosts, or after `RECORD_WAIT`."""
    open_ids: list[str] = [
        task.task_id
        for task in result.tasks
        if task.verdict in {"unknown", "finished", "unproven"} and task.task_id in known
    ]
    unfinished = partial(services.record.read, partial(unfinished_of, task_ids=open_ids))
    try:
        if open_ids:
            await poll(unfinished, not_, RECORD_WAIT)
        seen = await services.record.read(partial(find_tasks, task_ids=open_ids))
    except DatabaseUnavailable:
        return known
    return {**known, **seen}
