"""Cancel of one task: asks every worker of the host at once, and reports the task dead only after a proof."""

import asyncio
from collections.abc import Collection, Mapping, Sequence

import msgspec

from signalbox.messages.base import Evidence, utc_now, weakest
from signalbox.messages.commands import CancelTask
from signalbox.messages.events import TaskCancelled
from signalbox.messages.receipts import Progressed
from signalbox.messages.verdicts import MEANING, Verdict
from signalbox_controller.agents.cancel_request import CancelRequest
from signalbox_controller.agents.protocol import Cancel
from signalbox_controller.agents.running import Run
from signalbox_controller.agents.session import Agent
from signalbox_controller.cancelling.proof import Proof, prove, verdict_of, verdict_of_host
from signalbox_controller.cancelling.without_agent import CancelWithoutAgent, Ended, unanswered
from signalbox_controller.cancelling.wording import WorkerAnswer, detail_of, limits_of
from signalbox_controller.commands.ports import Ports, Result

#: Seconds beyond the grace after which an agent that has not answered is silent.
ANSWER_WITHIN = 3.0
#: Seconds that the other agents have to answer after one has given a decisive answer.
OTHERS_WITHIN = 0.5
#: Seconds after which the caller hears that we have the task; it waits a while longer for hosts that have not answered.
SOON = 0.1


class Answer(msgspec.Struct):
    """The answer of one agent."""

    agent: Agent
    request: CancelRequest
    result: Verdict = "unproven"
    proof: Proof | None = None
    #: How the task was ended without the agent, which did not answer.
    without_agent: Ended | None = None


async def cancel_task(command: CancelTask, ports: Ports) -> Result:
    """End the task in every worker of this host, and refuse it here from now on."""
    ports.cancelled.add((command.task_id,), command.issued_at)
    workers = ports.agents.workers()
    if not any(worker.runs.knows(command.task_id) for worker in workers):
        return await end_task(command, workers, ports)
    working = asyncio.get_running_loop().call_later(SOON, _report_progress, command, ports)
    try:
        return await end_task(command, workers, ports)
    finally:
        working.cancel()


def _report_progress(command: CancelTask, ports: Ports) -> None:
    """Have the caller wait for us, whatever another host answers: one id may run on several."""
    progress = Progressed(command_id=command.command_id, at=utc_now(), host=ports.host, done=0, total=1)
    ports.outbox.put(receipts=[progress])


async def end_task(command: CancelTask, agents: Sequence[Agent], ports: Ports) -> Result:
    """Ask these agents to end the task, and prove their answers."""
    answers = [Answer(agent, agent.ask(_line(command, ports, agent))) for agent in agents]
    await _wait_for_all({asyncio.ensure_future(_cancel_in(answer, ports)): answer for answer in answers})
    result = _conclude(command, ports, answers)
    return (await ports.cancel_agentless(command) or result) if result.verdict == "unknown" else result


def _line(command: CancelTask, ports: Ports, agent: Agent) -> Cancel:
    grace = ports.fleet.grace(agent.name) if command.grace is None else command.grace
    return Cancel(command_id=command.command_id, task_id=command.task_id, grace=grace)


async def _cancel_in(answer: Answer, ports: Ports) -> Verdict:
    """Wait for the agent's report, search for what is left of the task, and note the verdict."""
    request, cancels_one = answer.request, answer.agent.abilities.cancels_one
    kill_at = asyncio.get_running_loop().time() + (request.line.grace if cancels_one else 0.0)
    deadline = kill_at + ANSWER_WITHIN
    reported = await _reported(answer, ports, kill_at, deadline)
    if reported == "cancelled":
        answer.proof = await prove(request, ports.reaper, kill_at, deadline, ours=not answer.agent.adopted)
    answer.result = verdict_of(reported, answer.proof, ran=bool(request.runs), cancels_one=cancels_one)
    return answer.result


async def _reported(answer: Answer, ports: Ports, kill_at: float, deadline: float) -> Verdict | None:
    """The result that the agent reports, or that of a cancel without it; None if there is none in time."""
    answer.without_agent = await _cancel_without_agent(answer, ports, kill_at, deadline)
    if answer.without_agent is not None:
        return answer.without_agent.result
    try:
        async with asyncio.timeout_at(deadline):
            return await asyncio.shield(answer.request.done)
    except TimeoutError:
        return None


async def _cancel_without_agent(answer: Answer, ports: Ports, kill_at: float, deadline: float) -> Ended | None:
    """End all runs of the task without an agent that does not answer; None if it does, or one is not ours to end."""
    worker, request = ports.fleet.worker_of(answer.agent), answer.request
    children = {child.pid: child for child in request.children()}
    runs = [run for run in request.runs if run.pid in children]
    if worker is None or not runs or len(runs) < len(request.runs) or not await unanswered(request, worker):
        return None
    cancels = [CancelWithoutAgent(request, run, children[run.pid], worker, kill_at) for run in runs]
    ends = dict(zip(runs, await asyncio.gather(*(cancel.end(deadline) for cancel in cancels)), strict=True))
    return _of_all_runs(request, ends)


def _of_all_runs(request: CancelRequest, ends: Mapping[Run, Ended | None]) -> Ended | None:
    """The end of a task whose runs ended like this; of those that ended by themselves nothing more is to be told."""
    known = [end for end in ends.values() if end is not None]
    if len(known) < len(ends):
        return None
    cancelled = {run: end for run, end in ends.items() if end is not None and end.result == "cancelled"}
    request.keep(list(cancelled))
    return max(cancelled.values() or known, key=lambda end: end.signal == "KILL")


async def _wait_for_all(cancels: Mapping[asyncio.Future[Verdict], Answer]) -> None:
    """Wait for all; for those that were not known to have the task at most `OTHERS_WITHIN` after a decisive answer."""
    waiting = set(cancels)
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if any(MEANING[cancel.result()].is_final for cancel in done):
            break
    if waiting:
        _, waiting = await asyncio.wait(waiting, timeout=OTHERS_WITHIN)
    if holders := {cancel for cancel in waiting if cancels[cancel].request.held}:
        await asyncio.wait(holders)
    for cancel in waiting - holders:
        cancel.cancel()


def _conclude(command: CancelTask, ports: Ports, answers: Sequence[Answer]) -> Result:
    events: list[TaskCancelled] = []
    kept = []
    for answer in answers:
        cancelled, survivors = answer.result == "cancelled", answer.proof.left if answer.proof else 0
        proofs = answer.agent.events.release(answer.request, keep_proof=cancelled, survivors=survivors)
        kept += [answer.agent.events.acknowledging(proof.seq) for proof in proofs]
        if cancelled:
            events += _events(command, ports, answer, [proof.event for proof in proofs])
    verdict = verdict_of_host(
        [answer.result for answer in answers], [answer.result for answer in answers if answer.request.held]
    )
    proven = [answer.proof for answer in answers if answer.proof is not None and answer.result == "cancelled"]
    # Of a run that ended by itself while another one had to be ended nothing needs to be said.
    relevant = [answer for answer in answers if verdict == "finished" or answer.result != "finished"]
    return Result(
        verdict=verdict,
        proof=weakest(proof.evidence for proof in proven) if verdict == "cancelled" else None,
        detail=" ".join(filter(None, map(_detail, relevant))),
        task_name=next((answer.request.name for answer in answers if answer.request.name), ""),
        events=tuple(events),
        kept=tuple(kept),
    )


def _events(
    command: CancelTask, ports: Ports, answer: Answer, reported: Sequence[TaskCancelled]
) -> list[TaskCancelled]:
    """The proofs as events: the agent's, the first with what we ended besides; ours, if it died with its worker."""
    ended = {proc.pid for proc in answer.proof.ended} if answer.proof else set()
    report, keys = answer.request.report, {event.run for event in reported}
    signal = answer.without_agent.signal if answer.without_agent else "KILL"
    told = report is not None and report.state == "dead"
    ours = [
        run.cancelled(ports.host, command.command_id, signal)
        for run in (() if told else answer.request.runs)
        if run.run not in keys
    ]
    for event in ours:
        answer.agent.runs.note(event)
    events = [*reported, *(msgspec.structs.replace(event, killed=(event.pid,)) for event in ours)]
    evidence = answer.proof.evidence if answer.proof else "search"
    return [_with_search(event, ended if number == 0 else set(), evidence) for number, event in enumerate(events)]


def _with_search(event: TaskCancelled, ended: Collection[int], evidence: Evidence) -> TaskCancelled:
    """The event with what the controller's own look has added to it."""
    killed, at = tuple(sorted({*event.killed, *ended})), utc_now() if ended else event.at
    return msgspec.structs.replace(event, killed=killed, at=at, proof=evidence)


def _detail(answer: Answer) -> str:
    agent, ended = answer.agent, answer.without_agent
    report, proof = answer.request.report, answer.proof
    if ended is not None and answer.result != "alive":
        limits = limits_of(proof.evidence, shared=False) if proof else ""
        return " ".join(filter(None, (ended.words(agent.name), limits)))
    return detail_of(WorkerAnswer(agent.name, agent.pool, agent.abilities, answer.result, report, proof))
