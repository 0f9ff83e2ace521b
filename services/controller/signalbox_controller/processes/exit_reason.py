"""The exit reason of a process: what its end means to the machine, and its text. Pure."""

import msgspec

from signalbox_controller import words
from signalbox_controller.config.specs import ProcessSpec, RestartPolicy
from signalbox_controller.processes.backoff import Failures
from signalbox_controller.processes.instance import Fault
from signalbox_controller.processes.machine import Input
from signalbox_controller.words import Order

#: What RabbitMQ says to the second worker of a node name, and to the first one for a moment after a crash.
LOCKED = "RESOURCE_LOCKED"
#: Before the end of a process that began to shut down by itself.
LINGERED = "shut down by itself, did not end in time, and was ended: "


class ExitReport(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a process that exited."""

    #: How it ended, in words.
    how: str
    #: None when it cannot be had: the process was adopted, or never launched.
    code: int | None
    #: Whether it is to be launched again.
    relaunch: bool
    #: Whether a stop was asked for.
    asked: bool
    #: Seconds that it consumed; 0.0 when it never did.
    ran: float = 0.0
    fault: Fault | None = None
    #: Who asked for its end.
    order: Order | None = None
    #: The last lines of its log.
    words: str = ""

    @property
    def outside(self) -> bool:
        """Whether what kept it from running lies outside of it."""
        return self.fault in {"unready", "hung"} or LOCKED in self.words

    @property
    def failed(self) -> bool:
        """Whether this is not how a process ends that is well."""
        return self.outside or self.fault is not None or self.code != 0


def read(report: ExitReport, spec: ProcessSpec, node: str, failures: Failures) -> tuple[Input, str]:
    """The input for the machine and the message for people; counts it as a failure where it is one."""
    event = judge(report, spec.restart, failures)
    return event, _message(event, report, spec, node, failures)


def judge(report: ExitReport, policy: RestartPolicy, failures: Failures) -> Input:
    """The input for the machine; counts the exit as a failure where it is one."""
    if not report.relaunch:
        return Input.EXITED
    if report.asked:
        return Input.EXITED_TO_RESTART
    if policy == "never" or (policy == "on-failure" and not report.failed):
        return Input.EXITED_FOR_GOOD
    if report.outside:
        failures.wait(report.ran)
        return Input.EXITED_TO_WAIT
    return Input.EXITED_TO_RETRY if failures.add(report.ran) else Input.EXITED_TOO_OFTEN


def _message(event: Input, report: ExitReport, spec: ProcessSpec, node: str, failures: Failures) -> str:
    words = f": {report.words}" if report.words else ""
    how = LINGERED + report.how + words if report.fault == "lingered" else report.how + words
    match event:
        case Input.EXITED | Input.EXITED_TO_RESTART:
            done = "stopped" if event is Input.EXITED else "restarted"
            return f"{done} by {report.order.words}" if report.order else done
        case Input.EXITED_TO_WAIT:
            return f"{_outside(report, spec, node)}{words}"
        case Input.EXITED_TOO_OFTEN:
            return f"gave up after {failures.count} failures in a row ({how}); start it again once the cause is gone"
        case Input.EXITED_FOR_GOOD:
            return f"ended by itself ({how})"
        case _:
            return f"failed ({how})"


def _outside(report: ExitReport, spec: ProcessSpec, node: str) -> str:
    """What kept it from running."""
    if report.fault == "unready":
        what = "tick" if spec.kind == "beat" else "consume"
        return f"did not begin to {what} within {words.seconds(spec.start_timeout)}"
    if report.fault == "hung":
        return "its scheduler hung, and was ended: it had not ticked for too long"
    return f"the broker holds the name {node} for another worker, or has not noticed the end of the last one yet"
