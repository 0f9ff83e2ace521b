"""Cancel of many tasks: those that an agent holds are ended like a single task, all others are refused from now on."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from signalbox.messages.base import utc_now
from signalbox.messages.commands import CancelTask, CancelTasks
from signalbox.messages.events import AnyTaskEvent, TaskDropped
from signalbox.messages.receipts import Progressed, TaskVerdict
from signalbox.messages.verdicts import worst
from signalbox_controller.agents.session import Agent
from signalbox_controller.commands.cancel import end_task
from signalbox_controller.commands.ports import Ports, Result

#: Tasks that are ended at the same time: enough to keep the agents busy, few enough not to block a worker's loop.
AT_ONCE = 32
#: Seconds without an event of a waiting task, after which the agents are asked about each task that is left.
QUIET = 1.0
#: Seconds between two receipts of progress.
PROGRESS_EVERY = 0.25

#: A task and the agents that hold it, or may.
Holding = tuple[str, list[Agent]]


async def cancel_tasks(command: CancelTasks, ports: Ports) -> Result:
    """End the tasks that are here, refuse all of them from now on, and answer task by task."""
    task_ids = list(dict.fromkeys(command.task_ids))
    workers = ports.agents.workers()
    holdings = [(task_id, holders) for task_id in task_ids if (holders := [w for w in workers if w.may_hold(task_id)])]
    running = {task_id for task_id, holders in holdings if any(worker.runs.of(task_id) for worker in holders)}
    ports.cancelled.add(task_ids, command.issued_at)
    work = _Work(command, ports, total=len(holdings))
    async with asyncio.TaskGroup() as group:
        group.create_task(work.ask([holding for holding in holdings if holding[0] in running]))
        group.create_task(work.drop([holding for holding in holdings if holding[0] not in running]))
        group.create_task(work.cancel_agentless(task_ids, {task_id for task_id, _ in holdings}))
        await asyncio.sleep(0)  # until somebody listens
        ports.agents.refuse([task_id for task_id in task_ids if task_id not in running])
    return _result(command, work.verdicts)


class _Work:
    """The tasks that are here, and their verdicts."""

    def __init__(self, command: CancelTasks, ports: Ports, total: int) -> None:
        self._command = command
        self._ports = ports
        self._total = total
        self._progress_at = 0.0
        #: Waiting tasks whose only holder has not reported yet that it dropped them.
        self._waiting: dict[str, Agent] = {}
        self._dropped = asyncio.Event()
        #: Agents that have not answered once; they are not waited for again, as they know which tasks to refuse.
        self._silent: set[Agent] = set()
        self.verdicts: list[TaskVerdict] = []
        self._report_progress()

    async def drop(self, holdings: Sequence[Holding]) -> None:
        """Wait until their holders report that they dropped them; ask about those that are not reported."""
        self._waiting = {task_id: holders[0] for task_id, holders in holdings if len(holders) == 1}
        with ExitStack() as stack:
            for agent in set(self._waiting.values()):
                stack.enter_context(agent.events.watched_by(self._on_event))
            while self._waiting and await self._dropped_some():
                self._dropped.clear()
        answered = {verdict.task_id for verdict in self.verdicts}
        await self.ask([holding for holding in holdings if holding[0] not in answered])

    async def _dropped_some(self) -> bool:
        try:
            await asyncio.wait_for(self._dropped.wait(), QUIET)
        except TimeoutError:
            return False
        return True

    def _on_event(self, event: AnyTaskEvent) -> None:
        if isinstance(event, TaskDropped) and event.outcome == "cancelled" and event.task_id in self._waiting:
            del self._waiting[event.task_id]
            self._note(TaskVerdict(task_id=event.task_id, verdict="dropped", task_name=event.name))
            self._dropped.set()

    async def ask(self, holdings: Sequence[Holding]) -> None:
        """End these as each is ended alone, some at a time."""
        left = iter(holdings)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(holdings))):
                group.create_task(self._work_off(left))

    async def cancel_agentless(self, task_ids: Sequence[str], held: set[str]) -> None:
        """Revoke the tasks that no agent holds in the workers without an agent."""
        others = [task_id for task_id in task_ids if task_id not in held]
        for at in range(0, len(others), AT_ONCE):
            await asyncio.gather(*(self._cancel_agentless(task_id) for task_id in others[at : at + AT_ONCE]))

    async def _cancel_agentless(self, task_id: str) -> None:
        result = await self._ports.cancel_agentless(_one(self._command, task_id))
        if result is not None:
            self._note(_verdict(task_id, result))

    async def _work_off(self, holdings: Iterator[Holding]) -> None:
        for task_id, agents in holdings:
            self._note(await self._end(task_id, [agent for agent in agents if agent not in self._silent]))

    async def _end(self, task_id: str, agents: list[Agent]) -> TaskVerdict:
        if not agents:
            return TaskVerdict(task_id=task_id, verdict="unproven", detail="Its worker does not answer.")
        result = await end_task(_one(self._command, task_id), agents, self._ports)
        if result.verdict == "unproven":
            self._silent.update(agents)
        if result.events or result.kept:
            self._ports.outbox.put(*result.events, kept=result.kept_all)
        return _verdict(task_id, result)

    def _note(self, verdict: TaskVerdict) -> None:
        self.verdicts.append(verdict)
        self._report_progress()

    def _report_progress(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._progress_at < PROGRESS_EVERY:
            return
        self._progress_at = now
        host, command_id = self._ports.host, self._command.command_id
        done = min(len(self.verdicts), self._total)
        progress = Progressed(command_id=command_id, at=utc_now(), host=host, done=done, total=self._total)
        self._ports.outbox.put(receipts=[progress])


def _one(command: CancelTasks, task_id: str) -> CancelTask:
    """The part of it that is about this task."""
    fields = {name: getattr(command, name) for name in CancelTask.__struct_fields__ if name != "task_id"}
    return CancelTask(**fields, task_id=task_id)


def _verdict(task_id: str, result: Result) -> TaskVerdict:
    verdict, detail, name = result.verdict, result.detail, result.task_name
    return TaskVerdict(task_id=task_id, verdict=verdict, detail=detail, task_name=name, proof=result.proof)


def _result(command: CancelTasks, verdicts: Sequence[TaskVerdict]) -> Result:
    known = [verdict for verdict in verdicts if verdict.verdict != "unknown"]
    counts = Counter(verdict.verdict for verdict in known)
    counts["unknown"] = len(set(command.task_ids)) - len(known)
    words = ", ".join(f"{count:,} {verdict}" for verdict, count in counts.items() if count)
    return Result(verdict=worst([verdict.verdict for verdict in known]), detail=f"{words}.", tasks=tuple(known))
