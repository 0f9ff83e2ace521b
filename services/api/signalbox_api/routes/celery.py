"""Routes of Celery's processes: status, stop, start, restart."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from signalbox.client.commander import Issuer, StopOptions
from signalbox.client.results import ProcessesResult
from signalbox.messages.views import HostView, ProcessView
from signalbox.postgres.pool import Connection
from signalbox_api.answers.bodies import StartBody, StopBody
from signalbox_api.answers.json_response import reply
from signalbox_api.answers.openapi import answers
from signalbox_api.answers.processes import Order, ProcessesAnswer, Verb, outcome
from signalbox_api.auth.credential import Credential
from signalbox_api.cancelling.one import RECORD_WAIT
from signalbox_api.record.status import CeleryStatus, celery_status
from signalbox_api.record.views import list_hosts, list_processes
from signalbox_api.routes.access import VIEWERS, Operator, client_address
from signalbox_api.services import Services, Wired

router = APIRouter(tags=["Processes"])

#: Seconds to wait for the end of a stop or start by default, and at most.
DEFAULT_WAIT, LONGEST_WAIT = 60.0, 600.0

_STOP, _START = StopBody(), StartBody()


@router.get(
    "/scheduler/celery-status/", summary="Whether Celery runs", responses=answers(CeleryStatus), dependencies=VIEWERS
)
async def status(services: Wired) -> Response:
    """Overall, by kind, and for each process of each host."""
    return reply(celery_status(*await services.record.read(_hosts_and_processes)))


@router.post(
    "/scheduler/stop-celery/",
    summary="Stop workers and beat",
    responses=answers(ProcessesAnswer, 404, 422, 502, others={202: ProcessesAnswer}),
)
async def stop(caller: Operator, request: Request, services: Wired, body: StopBody | None = None) -> Response:
    """Stop everything, or only the hosts and processes that are named.

    `graceful` lets running tasks finish for `timeout` seconds; what runs on is then killed and marked as failed.
    """
    body = body or _STOP
    patience = DEFAULT_WAIT + (body.timeout or 0.0) if body.wait is None else body.wait
    result = await services.commander.stop(
        _issuer(caller, request, body),
        **_options(body),
        wait=min(patience, LONGEST_WAIT),
        record_wait=_record_wait(services),
    )
    return _answer(services, "stop", body, result)


@router.post(
    "/scheduler/start-celery/",
    summary="Start workers and beat",
    responses=answers(ProcessesAnswer, 404, 422, 502, others={202: ProcessesAnswer}),
)
async def start(caller: Operator, request: Request, services: Wired, body: StartBody | None = None) -> Response:
    """Start everything that is configured, or only what is named; 200 once each process really consumes."""
    body = body or _START
    result = await services.commander.start(
        _issuer(caller, request, body),
        hosts=body.hosts or (),
        processes=body.processes or (),
        wait=DEFAULT_WAIT if body.wait is None else body.wait,
        record_wait=_record_wait(services),
    )
    return _answer(services, "start", body, result)


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
    body = body or _STOP
    result = await services.commander.restart(
        _issuer(caller, request, body),
        **_options(body),
        wait=DEFAULT_WAIT if body.wait is None else body.wait,
        record_wait=_record_wait(services),
    )
    return _answer(services, "restart", body, result)


def _options(body: StopBody) -> StopOptions:
    return StopOptions(
        hosts=body.hosts or (),
        processes=body.processes or (),
        mode=body.mode or "graceful",
        timeout=body.timeout,
        redeliver=body.redeliver,
    )


def _issuer(caller: Credential, request: Request, body: StartBody) -> Issuer:
    return Issuer(name=caller.issuer, address=client_address(request), reason=body.reason or "")


def _answer(services: Services, verb: Verb, body: StartBody, result: ProcessesResult) -> Response:
    order = Order(verb=verb, chosen=bool(body.hosts or body.processes), record_up=services.urgent.health.up)
    http, answer = outcome(order, result)
    return reply(answer, http)


def _record_wait(services: Services) -> float:
    return RECORD_WAIT if services.urgent.health.up else 0.0


async def _hosts_and_processes(connection: Connection) -> tuple[list[HostView], list[ProcessView]]:
    return await list_hosts(connection), await list_processes(connection)
