"""Routes of cancels: one task, or many."""

import time

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from signalbox_api.answers.allow import AllowAnswer
from signalbox_api.answers.bodies import AllowBody, CancelBody, CancelTasksBody
from signalbox_api.answers.bulk_cancel import BulkAnswer
from signalbox_api.answers.cancel import CancelAnswer
from signalbox_api.answers.json_response import reply
from signalbox_api.answers.openapi import answers
from signalbox_api.cancelling.allow import allow
from signalbox_api.cancelling.many import cancel_many, preview
from signalbox_api.cancelling.one import cancel
from signalbox_api.cancelling.progress import LINES, ProgressLines
from signalbox_api.routes.access import Operator, issuer
from signalbox_api.services import Wired
from signalbox_api.web.task_addresses import TaskId

router = APIRouter(tags=["Tasks"])


@router.post(
    "/scheduler/cancel-task/{task_id}/",
    summary="Cancel a task and wait for the proof",
    responses=answers(CancelAnswer, 404, 409, 422, 502, others={202: CancelAnswer}),
)
async def cancel_task(
    task_id: TaskId, request: Request, caller: Operator, services: Wired, body: CancelBody | None = None
) -> Response:
    """End a task wherever it is, and never let it run again.

    200: it was seen dead, or will never start; asked again, the answer stays the same. 202: no proof has come within
    `wait` seconds; the cancel goes on. 409: it ended by itself before, or its pool cannot kill one task.
    """
    body = body or CancelBody()
    began = time.perf_counter()
    decision = await cancel(services, task_id, issuer(caller, request, body.reason), body)
    if decision.answer.verified:
        services.metrics.cancel(time.perf_counter() - began)
    return reply(decision.answer, decision.http)


@router.post(
    "/scheduler/tasks/{task_id}/allow/",
    summary="Let a task run again whose id was cancelled",
    responses=answers(AllowAnswer, 404, 422, 502, others={202: AllowAnswer}),
)
async def allow_task(
    task_id: TaskId, request: Request, caller: Operator, services: Wired, body: AllowBody | None = None
) -> Response:
    """Take back that an id is refused, for applications that use ids again; nothing is sent or started by it.

    200: every host that reads commands runs it again, should it come. 202: some have not answered within `wait`
    seconds; they, and those that are away, carry it out when they read it. 404: no cancel of it is in force.
    """
    body = body or AllowBody()
    http, answer = await allow(services, task_id, issuer(caller, request, body.reason), body)
    return reply(answer, http)


@router.post(
    "/scheduler/cancel-tasks/",
    summary="Cancel many tasks, by their ids or by a filter",
    responses=answers(BulkAnswer, 422, others={202: BulkAnswer}),
)
async def cancel_tasks(body: CancelTasksBody, request: Request, caller: Operator, services: Wired) -> Response:
    """End tasks wherever they are, and never let them run again, with one command and one line on the audit trail.

    What a filter matches is looked up once. With `dry_run` it is only counted: `matched`, how many of them run and
    wait, and the newest ten as `sample`. Otherwise each task has an outcome of its own. 202: of some no proof has come
    within `wait` seconds; their cancel goes on.

    With `Accept: application/x-ndjson` the answer is followed while it comes about: a JSON object a line, those with
    `"status": "progress"` tell how many of how many are `done`, and the last one is the answer.
    """
    if body.dry_run:
        return reply(await preview(services, body))
    asker = issuer(caller, request, body.reason)
    if LINES not in request.headers.get("accept", ""):
        http, answer = await cancel_many(services, body, asker)
        return reply(answer, http)
    progress = ProgressLines(lambda on_progress: cancel_many(services, body, asker, on_progress))
    return StreamingResponse(await progress.begin(), media_type=LINES)
