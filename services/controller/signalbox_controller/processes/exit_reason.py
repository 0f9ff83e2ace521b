"""What the end of a process means, and how it is told: pure."""

import msgspec

from signalbox_controller import words
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.processes.machine import Input
from signalbox_controller.processes.restart_policy import Exit, Strikes, judge
from signalbox_controller.words import Order

#: What RabbitMQ says to the second worker of a node name, and to the first one for a moment after a crash.
LOCKED = "RESOURCE_LOCKED"


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a process that is gone."""

    #: How it ended, in words.
    how: str
    #: None when it cannot be had: the process was adopted, or never launched.
    code: int | None
    #: Whether it is wanted, and whether a stop was asked for.
    wanted: bool
    asked: bool
    #: Seconds that it consumed.
    ran: float = 0.0
    #: Whether it was ended because it did not begin to consume.
    unready: bool = False
    #: Whether it was ended because its scheduler hung.
    hung: bool = False
    #: Who asked for its end.
    order: Order | None = None
    #: The last lines of its log.
    words: str = ""


def read(death: Death, spec: ProcessSpec, node: str, strikes: Strikes) -> tuple[Input, str]:
    """What it means for the machine, and what is said of it; counts it as a failure where it is one."""
    locked = LOCKED in death.words
    exit_ = Exit(
        wanted=death.wanted,
        asked=death.asked,
        code=death.code,
        ran=death.ran,
        outside=death.unready or death.hung or locked,
    )
    event = judge(exit_, spec.restart, strikes)
    return event, _message(event, death, spec, node, strikes)


def _message(event: Input, death: Death, spec: ProcessSpec, node: str, strikes: Strikes) -> str:
    words = f": {death.words}" if death.words else ""
    how = death.how + words
    match event:
        case Input.EXITED | Input.EXITED_TO_RESTART:
            done = "stopped" if event is Input.EXITED else "restarted"
            return f"{done} by {death.order.words}" if death.order else done
        case Input.EXITED_TO_WAIT:
            return f"{_outside(death, spec, node)}{words}"
        case Input.EXITED_TOO_OFTEN:
            return f"gave up after {strikes.count} failures in a row ({how}); start it again once the cause is gone"
        case Input.EXITED_FOR_GOOD:
            return f"ended by itself ({how})"
        case _:
            return f"failed ({how})"


def _outside(death: Death, spec: ProcessSpec, node: str) -> str:
    """What kept it from running."""
    if death.unready:
        what = "tick" if spec.kind == "beat" else "consume"
        return f"did not begin to {what} within {words.seconds(spec.start_timeout)}"
    if death.hung:
        return "its scheduler hung, and was killed: it had not ticked for too long"
    return f"the broker holds the name {node} for another worker, or has not noticed the end of the last one yet"
