"""Readiness of a process: what shows it where no agent does, and what follows when the time to start is over."""

import asyncio

from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.logs.logfile import LogFile
from signalbox_controller.processes.instance import Instance
from signalbox_controller.processes.machine import Input
from signalbox_controller.processes.status import ProcessStatus

#: Seconds between two looks into the log of a worker without an agent.
EVERY = 1.0


async def logs_ready(instance: Instance, node: str, log: LogFile) -> bool:
    """Look, while there is no agent, whether the worker logs that it is ready, as Celery does at the level INFO."""
    ready, since = f"{node} ready.", instance.log_start
    while instance.agent.missing and not instance.exited:
        end = log.position()
        if log.contains(ready, since):
            return True
        since = max(since, end - len(ready))
        await asyncio.sleep(EVERY)
    return False


def overdue(instance: Instance, spec: ProcessSpec, status: ProcessStatus, log: LogFile) -> tuple[Input, str]:
    """The input for the machine and the message for people, when the time to start, or to tick again, is over."""
    if _may_work(instance, spec, status, log):
        state = "has not logged that it is ready" if instance.agent.missing else "its agent cannot be reached"
        return Input.UNREACHABLE, f"{state}; it may be working, so it is not ended"
    if status.state != "unknown":
        instance.fault = "unready"
        return Input.UNREADY, "did not begin to consume, or to tick, in time: killed"
    if spec.kind == "worker":
        return Input.GREETED, "its agent answers; it does not consume yet"
    instance.fault = "hung"
    return Input.UNREADY, "did not tick again in time: it is being ended"


def _may_work(instance: Instance, spec: ProcessSpec, status: ProcessStatus, log: LogFile) -> bool:
    """Whether it may do its work, and only cannot be asked."""
    if instance.agent.missing:
        return not spec.lease  # nothing would hold a leased beat back from sending what another host sends
    if instance.agent.audible:
        return False
    return status.state == "unknown" or (spec.kind == "worker" and log.contains(status.node, instance.log_start))
