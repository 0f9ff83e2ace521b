"""Cancelling tasks."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from signalbox.client.core import Issuer
from signalbox_api.auth.access import Operator, client_address
from signalbox_api.bodies import CancelBody
from signalbox_api.cancelling import cancel
from signalbox_api.decisions import CancelAnswer
from signalbox_api.documents import answers
from signalbox_api.metrics import stopwatch
from signalbox_api.replies import reply
from signalbox_api.services import Wired

router = APIRouter(tags=["Tasks"])

_DEFAULTS = CancelBody()


@router.post(
    "/scheduler/cancel-task/{task_id}/",
    summary="Cancel a task and wait for the proof",
    responses=answers(CancelAnswer, 404, 409, 422, 502, others={202: CancelAnswer}),
)
async def cancel_task(
    task_id: str, request: Request, caller: Operator, services: Wired, body: CancelBody | None = None
) -> Response:
    """End a task wherever it is, and never let it run again.

    200: it was seen dead, or will never start; asked again, the answer stays the same. 202: no proof has come within
    `wait` seconds; the cancel goes on. 409: it ended by itself before, or its pool cannot kill one task.
    """
    body = body or _DEFAULTS
    elapsed = stopwatch()
    issuer = Issuer(name=caller.issuer, address=client_address(request), reason=body.reason or "")
    decision = await cancel(services, task_id, issuer, body)
    if decision.answer.verified:
        services.metrics.cancel(elapsed())
    return reply(decision.answer, decision.http)
