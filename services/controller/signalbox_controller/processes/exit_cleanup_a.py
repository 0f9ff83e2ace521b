"""What is left to do when a main process has died: end what it left behind, and find out which tasks went with it."""

from collections.abc import Iterable

import msgspec

from signalbox_controller.agents.protocol import AgentLine
from signalbox_controller.agents.running import Run
from signalbox_controller.linux.procfs import Proc
from signalbox_controller.linux.reaper import Reaper
from signalbox_controller.linux.signals import kill_all
from signalbox_controller.processes.instance import Life

#: Seconds for what the agent wrote last to be read; longer only when something else holds its socket open.
LAST_LINES = 0.5


class Aftermath(msgspec.Struct, frozen=True):
    """How it looks once all is cleared up."""

    #: The runs that nobody will report about any more.
    lost: list[Run]
    #: What could not be ended.
    survivors: list[Proc]


async def clear_up(life: Life, reaper: Reaper, spool: Iterable[AgentLine]) -> Aftermath:
    """End the rest of its tree, read its agent's last lines, then end what its lost tasks had launched elsewhere.

    The `spool` is read where the agent has not told us what it ran: it died before it found the way to us.
    """
    survivors = await kill_all(life.tree.rest, reaper)
    await life.agent.quiet(LAST_LINES)
    if not life.agent.complete:
        life.agent.recall(spool)
    lost = life.agent.bury()
    tasks = [run.task_id for run in lost]
    survivors = survivors or await kill_all(lambda: life.tree.rest(tasks), reaper)
    return Aftermath(lost, survivors)
