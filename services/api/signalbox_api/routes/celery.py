"""Routes of Celery's processes: status, stop, start, restart."""

from datetime import timedelta

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from signalbox.bus.presence import roll_call
from signalbox.client.commander import Issuer
from signalbox.errors import DatabaseUnavailable
from signalbox.messages.base import utc_now
from signalbox_api.answers.bodies import ForgetBody, StartBody, StopBody
from signalbox_api.answers.forget import ForgetAnswer
from signalbox_api.answers.forget import outcome as forget_outcome
from signalbox_api.answers.json_response import reply
from signalbox_api.answers.openapi import answers
from signalbox_api.answers.processes import Order, ProcessesAnswer, Verb, outcome
from signalbox_api.cancelling.one import PROOF_WAIT, RECORD_WAIT
from signalbox_api.errors import Conflict, NotFound
from signalbox_api.record.fleet import silenced
from signalbox_api.record.status import CeleryStatus, celery_status
from signalbox_api.routes.access import VIEWERS, Operator, issuer
from signalbox_api.services import Services, Wired

router = APIRouter(tags=["Processes"])

#: Seconds to wait for the end of a stop or start by default, and at most.
DEFAULT_WAIT, LONGEST_WAIT = 60.0, 600.0


@router.get(
    "/scheduler/celery-status/", summary="Whether Celery runs", responses=answers(CeleryStatus), dependencies=VIEWERS
)
async def status(services: Wired) -> Response:
    """Overall, by kind, and for each process of each host; every word is `unknown` while nobody vouches for them.

    `behind` says which part is behind or away, and since when; `as_of` is the time up to which the record is complete.
    """
    await services.probes.ask_record()
    recorded, age = await services.fleet.read()
    fleet, read_at = silenced(recorded, services.probes.heartbeat_ages()), utc_now() - timedelta(seconds=age)
    reported_at = {name: read_at - timedelta(seconds=report) for name, report in fleet.report_ages.items()}
    vouch = services.probes.vouch().read_at(read_at)
    status = celery_status(fleet.hosts, fleet.processes, vouch, reported_at)
    return reply(msgspec.structs.replace(status, note=fleet.note))


@router.post(
    "/scheduler/stop-celery/",
    summary="Stop workers and beat",
    responses=answers(ProcessesAnswer, 404, 422, 502, others={202: ProcessesAnswer}),
)
async def stop(caller: Operator, request: Request, services: Wired, body: StopBody | None = None) -> Response:
    """Stop everything, or only the hosts and processes that are named.

    `graceful` lets running tasks finish for `timeout` seconds; what runs on is then killed and marked as failed.
    """
    body = body or StopBody()
    wait = min(DEFAULT_WAIT + (body.timeout or 0.0), LONGEST_WAIT)
    return await _steer(services, "stop", body, issuer(caller, request, body.reason), wait)


@router.post(
    "/scheduler/start-celery/",
    summary="Start workers and beat",
    responses=answers(ProcessesAnswer, 404, 422, 502, others={202: ProcessesAnswer}),
)
async def start(caller: Operator, request: Request, services: Wired, body: StartBody | None = None) -> Response:
    """Start everything that is configured, or only what is named; 200 once each process really consumes."""
    body = body or StartBody()
    return await _steer(services, "start", body, issuer(caller, request, body.reason))


@router.post(
    "/scheduler/restart-celery/",
    summary="Restart workers and beat, one after the other",
    responses=answers(ProcessesAnswer, 404, 422, 502, others={202: ProcessesAnswer}),
)
async def restart(caller: Operator, request: Request, services: Wired, body: StopBody | None = None) -> Response:
    """Restart everything that runs, or what is named: one process after the other, over all hosts.

    The next one is stopped only when the one before consumes again; the first that does not come back ends the
    restart. `mode` and `timeout` say, as for a stop, what each process' running tasks may take.
    """
    body = body or StopBody()
    return await _steer(services, "restart", body, issuer(caller, request, body.reason))


@router.post(
    "/scheduler/forget-hosts/",
    summary="Forget hosts that have left for good",
    responses=answers(ForgetAnswer, 404, 409, 422, others={202: ForgetAnswer}),
)
async def forget(caller: Operator, request: Request, services: Wired, body: ForgetBody) -> Response:
    """Forget hosts: no status shows them, and no stop waits for them any more.

    What ran there is shown as failed, not confirmed. 409: one of them still reports; nothing was forgotten. A host that
    reports again later is shown again.
    """
    hosts = await roll_call(services.redis)
    if there := sorted(hosts.present & set(body.hosts)):
        raise Conflict(f"Nothing was forgotten: {', '.join(there)} reports; stop its controller first")
    try:
        recorded = {host.name for host in (await services.fleet.read())[0].hosts}
    except DatabaseUnavailable:
        recorded = set(body.hosts)
    if strangers := sorted(set(body.hosts) - hosts.known - recorded):
        raise NotFound(f"There is no host {' or '.join(map(repr, strangers))}; GET /scheduler/celery-status/ names all")
    wait = PROOF_WAIT if body.wait is None else body.wait
    result = await services.commander.forget(body.hosts, issuer(caller, request, body.reason), wait=wait)
    http, answer = forget_outcome(result)
    return reply(answer, http)


async def _steer(
    services: Services, verb: Verb, body: StartBody, issuer: Issuer, wait: float = DEFAULT_WAIT
) -> Response:
    """Give the command; `wait` is for a caller who does not say how long."""
    commander = services.commander
    awaited = services.probes.vouch("database", "reconciler").awaited
    commands = {"stop": commander.stop, "start": commander.start, "restart": commander.restart}
    result = await commands[verb](
        issuer,
        wait=wait if body.wait is None else body.wait,
        record_wait=0.0 if awaited else RECORD_WAIT,
        **body.model_dump(exclude={"reason", "wait"}, exclude_none=True),
    )
    order = Order(verb=verb, chosen=bool(body.hosts or body.processes), awaited=awaited)
    http, answer = outcome(order, result)
    return reply(answer, http)
