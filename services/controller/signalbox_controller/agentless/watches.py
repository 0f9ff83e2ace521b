"""Watches of this host, one for each application with agentless workers."""

import asyncio
import contextlib
from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from signalbox.bus.presence import announce_nodes, nodes_with_agents
from signalbox.errors import BusUnavailable
from signalbox.messages.commands import CancelTask
from signalbox.service import run_all
from signalbox_controller.agentless.watch import AgentlessWatch
from signalbox_controller.commands.ports import Result
from signalbox_controller.fleet.fleet import Fleet
from signalbox_controller.logs.logfile import LogFile

#: Seconds between two reads of the nodes that have an agent.
EVERY = 2.0
#: Advice at the end of each answer.
ADVICE = "Nothing proves that the task has ended; `signalbox doctor` tells how that worker gets the agent."


class AgentlessWatches:
    """Runs the watches, and announces the nodes with an agent to all hosts, so that no watch covers them."""

    def __init__(self, watches: Sequence[AgentlessWatch], redis: Redis, fleet: Fleet) -> None:
        self._watches = watches
        self._redis = redis
        self._fleet = fleet

    def logs(self) -> list[LogFile]:
        """The log of each watch."""
        return [watch.log for watch in self._watches]

    def nodes(self) -> list[str]:
        """The node names of all workers without an agent."""
        return sorted(frozenset[str]().union(*(watch.nodes for watch in self._watches)))

    async def run(self) -> None:
        """Run the watches until cancelled."""
        await run_all(*(watch.run for watch in self._watches), self._compare)

    async def _compare(self) -> None:
        nodes: set[str] = set()
        while True:
            workers = self._fleet.nodes()
            ours = {node for node, has_agent in workers.items() if has_agent}
            without = workers.keys() - ours
            nodes = (nodes | ours) - without
            with contextlib.suppress(BusUnavailable, RedisError):
                await announce_nodes(self._redis, ours, without)
                nodes = ours | await nodes_with_agents(self._redis)
            for watch in self._watches:
                watch.set_agents(nodes)
                watch.tasks.save()
            await asyncio.sleep(EVERY)

    async def cancel(self, command: CancelTask) -> Result | None:
        """Revoke a task in the agentless workers; None when none of them is known to have it."""
        holders = [watch for watch in self._watches if command.task_id in watch.tasks.value]
        for watch in self._watches:
            if watch not in holders:  # the task may be on its way there
                watch.send_revoke(command)
        if not holders:
            return None
        name = holders[0].tasks.value[command.task_id].name.rpartition(".")[2]
        details = await asyncio.gather(*(watch.revoke(command) for watch in holders))
        detail = f"{'; '.join(details)}. {ADVICE}"
        return Result(verdict="unproven", detail=detail, task_name=name)
