"""Cancel of one task: asks every worker of the host at once, and reports the task dead only after a proof."""

import asyncio
from collections.abc import Sequence

import msgspec

from signalbox.messages.base import utc_now
from signalbox.messages.commands import CancelTask
from signalbox.messages.events import TaskCancelled
from signalbox.messages.verdicts import MEANING, Verdict
from signalbox_controller.agents.cancel_request import CancelRequest
from signalbox_controller.agents.protocol import Cancel
from signalbox_controller.agents.session import Agent
from signalbox_controller.cancelling.proof import Proof, evidence_of_host, prove, verdict_of, verdict_of_host
from signalbox_controller.cancelling.without_agent import CancelWithoutAgent, Ended, unanswered
from signalbox_controller.cancelling.wording import WorkerAnswer, detail_of, limits_of
from signalbox_controller.commands.ports import Ports, Result

#: Seconds beyond the grace after which an agent that has not answered is silent.
ANSWER_WITHIN = 3.0
#: Seconds that the other agents have to answer after one has given a decisive answer.
OTHERS_WITHIN = 0.5


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
    return await end_task(command, ports.agents.workers(), ports)


async def end_task(command: CancelTask, agents: Sequence[Agent], ports: Ports) -> Result:
    """Ask these agents to end the task, and prove their answers."""
    answers = [Answer(agent, agent.ask(_line(command, ports, agent))) for agent in agents]
    await _wait_for_all([asyncio.ensure_future(_cancel_in(answer, ports)) for answer in answers])
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
    answer.result = verdict_of(reported, answer.proof, ran=request.run is not None, cancels_one=cancels_one)
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
    """End the task without the agent, if that does not answer; None when it does, or nothing is ours to end."""
    worker, child, run = ports.fleet.worker_of(answer.agent), answer.request.child(), answer.request.run
    if worker is None or child is None or run is None or not await unanswered(answer.request, worker):
        return None
    return await CancelWithoutAgent(answer.request, run, child, worker, kill_at).end(deadline)


async def _wait_for_all(cancels: list[asyncio.Future[Verdict]]) -> None:
    """Wait for all of them, but for at most `OTHERS_WITHIN` after one has given a decisive answer."""
    waiting = set(cancels)
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if any(MEANING[cancel.result()].is_final for cancel in done):
            break
    if waiting:
        _, waiting = await asyncio.wait(waiting, timeout=OTHERS_WITHIN)
    for cancel in waiting:
        cancel.cancel()


def _conclude(command: CancelTask, ports: Ports, answers: Sequence[Answer]) -> Result:
    events: list[TaskCancelled] = []
    kept = []
    for answer in answers:
        proof = answer.agent.release(answer.request, keep_proof=answer.result == "cancelled")
        if proof is not None:
            kept.append(answer.agent.acknowledging(proof.seq))
        if answer.result == "cancelled" and (event := _event(command, ports, answer, proof.event if proof else None)):
            events.append(event)
    verdict = verdict_of_host([answer.result for answer in answers])
    proofs = [answer.proof for answer in answers if answer.proof is not None and answer.result == "cancelled"]
    return Result(
        verdict=verdict,
        proof=evidence_of_host(proofs) if verdict == "cancelled" else None,
        detail=" ".join(filter(None, map(_detail, answers))),
        task_name=next((answer.request.name for answer in answers if answer.request.name), ""),
        events=tuple(events),
        kept=tuple(kept),
    )


def _event(command: CancelTask, ports: Ports, answer: Answer, reported: TaskCancelled | None) -> TaskCancelled | None:
    """The proof as an event: the agent's, with what we ended besides; our own, when the agent died with its worker."""
    ended = {proc.pid for proc in answer.proof.ended} if answer.proof else set()
    evidence = answer.proof.evidence if answer.proof else "search"
    if reported is not None:
        killed = tuple(sorted({*reported.killed, *ended}))
        at = utc_now() if ended else reported.at
        return msgspec.structs.replace(reported, killed=killed, at=at, proof=evidence)
    report, run = answer.request.report, answer.request.run
    if run is None or (report is not None and report.state == "dead"):
        return None
    event = run.cancelled(
        ports.host, command.command_id, answer.without_agent.signal if answer.without_agent else "KILL"
    )
    answer.agent.runs.note(event)
    return msgspec.structs.replace(event, killed=tuple(sorted({run.pid, *ended})), proof=evidence)


def _detail(answer: Answer) -> str:
    agent, ended = answer.agent, answer.without_agent
    report, proof = answer.request.report, answer.proof
    if ended is not None and answer.result != "alive":
        limits = limits_of(proof.evidence, shared=False) if proof else ""
        return " ".join(filter(None, (ended.words(agent.name), limits)))
    return detail_of(WorkerAnswer(agent.name, agent.pool, agent.abilities, answer.result, report, proof))
