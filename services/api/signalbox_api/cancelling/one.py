"""Cancel of one task: asks the record, then the hosts, then the record again where their answer is not final."""

from functools import partial

import msgspec

from signalbox.bus.presence import present
from signalbox.client.commander import Issuer
from signalbox.errors import DatabaseUnavailable
from signalbox.messages.ids import task_key
from signalbox_api.answers.bodies import CancelBody
from signalbox_api.answers.cancel import Case, Decision, from_hosts, from_record, is_uuid
from signalbox_api.cancelling.polling import poll
from signalbox_api.errors import NotATaskId
from signalbox_api.record.database import FALLBACK_WAIT
from signalbox_api.record.views import find_task
from signalbox_api.services import Services

#: Seconds to wait for the proof, and beyond the grace, by default.
PROOF_WAIT, BEYOND_GRACE = 10.0, 5.0
#: Seconds that the record may lag behind the proof before we answer without it.
RECORD_WAIT = 2.0


async def cancel(services: Services, task_id: str, issuer: Issuer, body: CancelBody) -> Decision:
    """Cancel a task.

    Raises:
        NotATaskId: neither a UUID nor an id that the record knows.
        BusUnavailable: nothing was cancelled.
    """
    return (await _cancel(services, task_key(task_id), issuer, body)).under(task_id)


async def _cancel(services: Services, task_id: str, issuer: Issuer, body: CancelBody) -> Decision:
    case = await _read(services, task_id)
    if decision := from_record(case):
        return decision
    if case.task is not None and case.task.status == "pending" and not await present(services.redis):
        # No controller is up that could run it: the reconciler alone marks it as failed.
        result = await services.commander.cancel(task_id, issuer, grace=body.grace, wait=0.0)
        case = await _read_again(services, case, wait=True)
        if case.task is not None and case.task.finished_at is not None:
            return from_hosts(case, result)
    holders = frozenset(case.known.running_on) if case.known else frozenset()
    result = await services.commander.cancel(
        task_id,
        issuer,
        grace=body.grace,
        wait=max(PROOF_WAIT, (body.grace or 0.0) + BEYOND_GRACE) if body.wait is None else body.wait,
        record_wait=0.0 if case.awaited else RECORD_WAIT,
        holders=holders,
    )
    if holders and (away := holders - await present(services.redis)):
        case = msgspec.structs.replace(case, away=away)
    if result.verdict in {"unknown", "finished", None}:
        case = await _read_again(services, case)
    return from_hosts(case, result)


async def _read(services: Services, task_id: str) -> Case:
    try:
        known = await services.urgent.read(lambda connection: find_task(connection, task_id), FALLBACK_WAIT)
    except DatabaseUnavailable:
        return Case(
            task_id=task_id, known=None, record_up=False, awaited="the database", refused_for=services.refused_for
        )
    if known is None and not is_uuid(task_id):
        raise NotATaskId(
            f"{task_id[:200]!r} is not a task id: it is no UUID (such as {_EXAMPLE}),"
            " and the record knows no task of that id"
        )
    awaited = services.probes.vouch("database", "reconciler").awaited
    return Case(task_id=task_id, known=known, record_up=True, awaited=awaited, refused_for=services.refused_for)


_EXAMPLE = "8f8b3c1e-5a64-4d0c-9a52-0d6c3f4a7f10"


async def _read_again(services: Services, case: Case, *, wait: bool = False) -> Case:
    """The case once the record has caught up with the hosts, or after `RECORD_WAIT`.

    The record is read only once while the task's host is away, unless `wait`.
    """
    if case.task is None or not case.record_up:
        return case
    host = case.task.host
    present_now = host is None or host in await present(services.redis)
    seconds = RECORD_WAIT if (present_now or wait) and not case.awaited else 0.0
    later = await poll(partial(_read, services, case.task_id), _final, seconds)
    if not later.record_up:
        return msgspec.structs.replace(case, record_up=False, awaited=later.awaited)
    return msgspec.structs.replace(later, host_present=present_now, away=case.away)


def _final(case: Case) -> bool:
    return not case.record_up or case.task is None or case.task.finished_at is not None
