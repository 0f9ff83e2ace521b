"""Release of a cancelled id: its cancels are void from now on, on every host."""

from signalbox.client.commander import Issuer
from signalbox.errors import DatabaseUnavailable
from signalbox_api.answers.allow import AllowAnswer, outcome
from signalbox_api.answers.bodies import AllowBody
from signalbox_api.answers.cancel import may_be_task_id
from signalbox_api.cancelling.one import PROOF_WAIT, RECORD_WAIT
from signalbox_api.errors import NotATaskId, NotFound
from signalbox_api.record.database import FALLBACK_WAIT
from signalbox_api.record.views import find_refused
from signalbox_api.services import Services


async def allow(services: Services, task_id: str, issuer: Issuer, body: AllowBody) -> tuple[int, AllowAnswer]:
    """Let an id run again; return the HTTP status and the answer.

    Raises:
        NotATaskId: it cannot be the id of a task.
        NotFound: the record knows no cancel of it that is in force.
        BusUnavailable: nothing was released.
    """
    if not may_be_task_id(task_id):
        raise NotATaskId(f"{task_id[:200]!r} is not a task id")
    name, record_up = task_id, True
    try:
        refused = await services.urgent.read(lambda connection: find_refused(connection, task_id), FALLBACK_WAIT)
    except DatabaseUnavailable:
        record_up = False
    else:
        if refused is None:
            raise NotFound(f"Task {task_id} was not cancelled, or may run again already")
        name = refused or task_id
    wait = PROOF_WAIT if body.wait is None else body.wait
    result = await services.commander.allow(task_id, issuer, wait=wait, record_wait=RECORD_WAIT if record_up else 0.0)
    return outcome(name, result)
