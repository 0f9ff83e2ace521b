"""Spread of answers that decide nothing: the proof of one host must not wait for those of many that know nothing.

Each host still answers every command; silence proves nothing.
"""

from random import uniform

from signalbox.messages.commands import CancelTask, CancelTasks, Command
from signalbox_controller.commands.ports import Result

#: Hosts whose answers hold up nobody.
FEW = 20
#: Seconds for which the answers of more hosts wait: most cancels are proven and recorded by then.
FIRST = 0.03
#: Seconds over which they are spread then, for each host, and at most.
EACH, MOST = 0.0001, 0.2


def delays(hosts: int) -> tuple[float, float]:
    """The shortest and the longest delay of the answers of so many hosts, in seconds."""
    return (FIRST, FIRST + min(MOST, hosts * EACH)) if hosts > FEW else (0.0, 0.0)


def delay_of(command: Command, result: Result, hosts: int) -> float:
    """Seconds that the answer waits: none unless it is that of a host that has nothing of what is to be cancelled."""
    knows_nothing = result.verdict == "unknown" and not (result.events or result.tasks)
    decides_nothing = isinstance(command, CancelTask | CancelTasks) and knows_nothing
    return uniform(*delays(hosts)) if decides_nothing else 0.0  # noqa: S311 - no secret
