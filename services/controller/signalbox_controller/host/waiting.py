"""Waiting tasks: answers the questions of the record, whether its tasks still wait on this host or in its queues."""

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from signalbox.bus.waiting import Question, Questions, WaitingTask
from signalbox.errors import BusUnavailable
from signalbox.messages.base import utc_now
from signalbox.messages.events import WaitingCompared
from signalbox_controller.broker.program import Programs
from signalbox_controller.fleet.fleet import Fleet
from signalbox_controller.host.comparison import Holder, Listing, compare
from signalbox_controller.processes.supervisor import Supervised
from signalbox_controller.state.outbox import Outbox

log = logging.getLogger(__name__)

#: Seconds between two looks for questions.
EVERY = 1.0
PROGRAM = "signalbox_agent.broker.waiting"
#: Seconds that a look at a broker may take; more than the program's own deadline.
DEADLINE = 25.0


class WaitingTasks:
    """Compares waiting tasks with the workers and the brokers of this host."""

    def __init__(self, host: str, redis: Redis, outbox: Outbox, fleet: Fleet, programs: Programs) -> None:
        self._host = host
        self._questions = Questions(redis)
        self._outbox = outbox
        self._fleet = fleet
        self._programs = programs

    async def run(self) -> None:
        """Answer questions until cancelled; one that cannot be answered is not, and is asked again."""
        while True:
            try:
                questions = await self._questions.read()
            except (BusUnavailable, RedisError) as error:
                log.debug("no questions can be read: %s", error)
                questions = ()
            if questions:
                await self._answer(questions)
            await asyncio.sleep(EVERY)

    async def _answer(self, questions: Sequence[Question]) -> None:
        """Answer, unless a worker does not say what it holds: its silence proves nothing."""
        held = await self._fleet.held()
        if held is None:
            return
        ours = (task for question in questions for task in question.tasks if task.host == self._host)
        holders = await self._look([task for task in ours if task.task_id not in held])
        if holders:  # what left a queue meanwhile is in a worker by now
            again = await self._fleet.held()
            if again is None:
                return
            held |= again
        for question in questions:
            found = compare(question.tasks, self._host, held, holders)
            self._outbox.put(
                WaitingCompared(
                    at=utc_now(), host=self._host, asked_at=question.asked_at, seen=found.seen, absent=found.absent
                )
            )

    async def _look(self, tasks: Collection[WaitingTask]) -> Mapping[str, Holder]:
        """Look for tasks that no worker holds at the brokers of those that had them; one look for each application."""
        holders: dict[str, Holder] = {}
        shared = _shared_nodes(self._fleet.select(()))
        for group in self._groups():
            nodes = {one.status.node: one for one in group if one.status.node not in shared}
            wanted = sorted({task.task_id for task in tasks if task.worker in nodes})
            if wanted:
                listing = await self._list(group, wanted)
                holders |= {node: Holder(queues=one.queues, listing=listing) for node, one in nodes.items()}
        return holders

    async def _list(self, group: Sequence[Supervised], task_ids: Sequence[str]) -> Listing | None:
        consumers = Counter(queue for one in group if one.instance for queue in one.queues)
        queues = {queue: consumers[queue] for one in group for queue in one.queues}
        spec = group[0].running_spec
        order = {"app": spec.app, "queues": queues, "ids": task_ids}
        return await self._programs.run(spec, PROGRAM, order, Listing, DEADLINE)

    def _groups(self) -> list[list[Supervised]]:
        """The workers by their broker: that of one application in one environment.

        Left out is one whose queues are not known: nobody can say what is not in them.
        """
        groups: dict[object, list[Supervised]] = {}
        for process in self._fleet.select(()):
            spec = process.running_spec
            if spec.kind == "worker" and spec.app and process.queues:
                key = (spec.app, spec.python, spec.directory, tuple(sorted(spec.environment.items())))
                groups.setdefault(key, []).append(process)
        return list(groups.values())


def _shared_nodes(processes: Sequence[Supervised]) -> frozenset[str]:
    """The node names of several processes: which of them had a task, and so its broker, is not known."""
    uses = Counter(process.status.node for process in processes)
    return frozenset(node for node, count in uses.items() if count > 1)
