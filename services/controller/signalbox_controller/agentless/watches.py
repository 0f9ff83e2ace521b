"""All watches of this host, and which workers are none of their business."""

import asyncio
import contextlib
from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from signalbox.bus.nodes import announce_nodes, nodes_with_agents
from signalbox.errors import BusUnavailable
from signalbox.messages.commands import CancelTask
from signalbox_controller.agentless.watch import Watch
from signalbox_controller.commands.ports import Result
from signalbox_controller.fleet.fleet import Fleet
from signalbox_controller.logs.logfile import LogFile

#: Seconds between two looks at who has an agent.
EVERY = 2.0
#: What to do about it, at the end of each answer.
ADVICE = "Nothing proves that the task has ended; `signalbox doctor` tells how that worker gets the agent."


class Watches:
    """Tells every host which workers have agents, and has all others watched where that is configured."""

    def __init__(self, watches: Sequence[Watch], redis: Redis, fleet: Fleet) -> None:
        self._watches = watches
        self._redis = redis
        self._fleet = fleet

    def logs(self) -> list[LogFile]:
        """What the watches print."""
        return [watch.log for watch in self._watches]

    async def run(self) -> None:
        """Watch, for ever."""
        async with asyncio.TaskGroup() as group:
            for watch in self._watches:
                group.create_task(watch.run())
            group.create_task(self._compare())

    async def _compare(self) -> None:
        known: set[str] = set()
        while True:
            ours = {process.node for process in self._fleet.status() if process.node}
            known |= ours
            with contextlib.suppress(BusUnavailable, RedisError):
                await announce_nodes(self._redis, ours)
                known = ours | await nodes_with_agents(self._redis)
            for watch in self._watches:
                watch.spare(known)
                watch.tasks.save()
            await asyncio.sleep(EVERY)

    async def cancel(self, command: CancelTask) -> Result | None:
        """Have the workers without an agent give up a task; none when none of them is known to have it."""
        holders = [watch for watch in self._watches if command.task_id in watch.tasks.value]
        for watch in self._watches:
            if watch not in holders:  # it may be on its way there
                watch.pass_on(command)
        if not holders:
            return None
        name = holders[0].tasks.value[command.task_id].name.rpartition(".")[2]
        told = await asyncio.gather(*(watch.revoke(command) for watch in holders))
        detail = f"{'; '.join(told)}. {ADVICE}"
        return Result(verdict="unproven", detail=detail, task_id=command.task_id, task_name=name)
