"""Release of a cancelled id: its cancels are void from now on, on every host."""

from signalbox.client.commander import Issuer
from signalbox.errors import DatabaseUnavailable
from signalbox.messages.ids import task_key
from signalbox_api.answers.allow import AllowAnswer, outcome
from signalbox_api.answers.bodies import AllowBody
from signalbox_api.cancelling.one import PROOF_WAIT, RECORD_WAIT
from signalbox_api.errors import NotFound
from signalbox_api.record.database import FALLBACK_WAIT
from signalbox_api.record.views import find_refused
from signalbox_api.services import Services


async def allow(services: Services, task_id: str, issuer: Issuer, body: AllowBody) -> tuple[int, AllowAnswer]:
    """Let an id run again; return the HTTP status and the answer.

    Raises:
        NotFound: the record knows no cancel of it that is in force.
        BusUnavailable: nothing was released.
    """
    key = task_key(task_id)
    name, record_up = key, True
    try:
        refused = await services.urgent.read(lambda connection: find_refused(connection, key), FALLBACK_WAIT)
    except DatabaseUnavailable:
        record_up = False
    else:
        if refused is None:
            raise NotFound(f"Task {key} was not cancelled, or may run again already")
        name = refused or key
    wait = PROOF_WAIT if body.wait is None else body.wait
    result = await services.commander.allow(task_id, issuer, wait=wait, record_wait=RECORD_WAIT if record_up else 0.0)
    return outcome(name, result)
