"""What a controller makes of its agents' words: whom it lets in, what it acknowledges when, and whom it believes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from signalbox.messages.events import EventsLost, TaskCancelled, TaskStarted
from signalbox.service import background
from signalbox_controller.agents.connection import LINE_LIMIT
from signalbox_controller.agents.liveness import GRACE, UNANSWERED
from signalbox_controller.agents.protocol import Cancel
from signalbox_controller.agents.slots import Slots
from support.agent_side import an_agent
from support.agents_server import AgentsServer, an_agents_server
from support.eventually import HANGS, eventually
from support.stores.server import Redis

RUN = "0000.1700000000000.abcdef01.42"


@pytest.fixture
async def server(valkey: Redis, tmp_path: Path) -> AsyncIterator[AgentsServer]:
    async with an_agents_server(valkey, tmp_path / "agents.sock") as one:
        yield one


def an_event(kind: str = "TaskStarted", **more: object) -> dict[str, Any]:
    common = {"at": "2026-01-01T00:00:00+00:00", "task_id": "t", "run": RUN, "celery_name": "shop.charge"}
    return {"type": kind, **common, "name": "charge", "worker": "w@h", "pid": 42, **more}


def a_proof(command_id: str) -> dict[str, Any]:
    return an_event("TaskCancelled", command_id=command_id, signal="TERM", killed=[42])


async def test_a_beat_is_late_when_it_breaks_its_promise_and_not_when_it_sleeps_for_long(server: AgentsServer) -> None:
    async def overdue() -> bool:
        return server.agent.ticks.overdue

    async def ticked() -> bool:
        return not server.agent.ticks.overdue

    async with an_agent(server.path) as agent:
        await agent.greet("ours", kind="beat", node="")
        await agent.say(type="tick", due_in=-GRACE)
        await eventually(overdue, "a tick that is overdue")
        for _ in range(UNANSWERED):
            server.agent.check()
        assert server.reports.words == ["greeted, ready"]
        server.agent.check()
        server.agent.check()
        assert server.reports.words == ["greeted, ready", "late"]
        await agent.say(type="pong")
        await agent.say(type="tick", due_in=3600.0)
        await eventually(ticked, "the next tick")
        for _ in range(UNANSWERED * 2):
            server.agent.check()
        assert server.reports.words == ["greeted, ready", "late", "answers again"]


async def test_a_beat_that_answers_and_does_not_tick_gives_no_sign_of_life(server: AgentsServer) -> None:
    async with an_agent(server.path) as agent:
        await agent.greet("ours", kind="beat", node="")
        await agent.say(type="tick", due_in=3600.0)
        await agent.say(type="begin", fence=1, runs={})

        async def begun() -> bool:
            return "begins [] under 1" in server.reports.words

        await eventually(begun, "the lines above")
        assert server.agent.ping()
        await agent.say(type="tick", due_in=-GRACE)
        await agent.say(type="begin", fence=2, runs={})

        async def begun_again() -> bool:
            return "begins [] under 2" in server.reports.words

        await eventually(begun_again, "the lines above")
        assert server.agent.ping(), "the turn in which the tick came"
        await agent.say(type="pong")
        await agent.say(type="begin", fence=3, runs={})

        async def answered() -> bool:
            return "begins [] under 3" in server.reports.words

        await eventually(answered, "an answer, and no tick")
        assert not server.agent.ping()


async def test_events_get_the_host_and_are_acknowledged_once_redis_has_them(server: AgentsServer) -> None:
    async with an_agent(server.path) as agent:
        await agent.greet("ours")
        await agent.say(type="event", seq=1, event=an_event())
        await agent.say(type="event", seq=2, event=an_event("TaskSucceeded"))

        async def taken() -> bool:
            return server.agent.runs.all() == [] and server.agent.runs.name("t") == ""

        await eventually(taken, "both events")
        assert await server.events() == []
        async with background(server.outbox.run):
            assert (await agent.hears("ack"))["seq"] == 2
        assert [type(event).__name__ for event in await server.events()] == ["TaskStarted", "TaskSucceeded"]
        assert {event.host for event in await server.events()} == {"web-01"}


async def test_what_an_agent_sends_again_is_told_once(server: AgentsServer) -> None:
    async with background(server.outbox.run):
        async with an_agent(server.path) as agent:
            await agent.greet("ours")
            await agent.say(type="event", seq=1, event=an_event())
            await agent.hears("ack")
        async with an_agent(server.path) as agent:
            assert (await agent.greet("ours"))["acked"] == 1
            await agent.say(type="event", seq=1, event=an_event())
            await agent.say(type="event", seq=2, event=an_event(run=RUN + "1"))
            assert (await agent.hears("ack"))["seq"] == 2
    assert [event.run for event in await server.events() if isinstance(event, TaskStarted)] == [RUN, RUN + "1"]


async def test_nonsense_and_endless_lines_spoil_nothing_but_themselves(server: AgentsServer) -> None:
    async with background(server.outbox.run), an_agent(server.path) as agent:
        await agent.greet("ours")
        await agent.write(b"nonsense\n{}\n\n" + b"x" * (LINE_LIMIT + 70_000) + b"\n")
        await agent.say(type="event", seq=1, event={"type": "TaskStarted", "run": 7})
        assert (await agent.hears("ack"))["seq"] == 1
        await agent.say(type="event", seq=2, event=an_event())
        assert (await agent.hears("ack"))["seq"] == 2
    assert len(await server.events()) == 1


async def test_lost_events_are_told(server: AgentsServer) -> None:
    async with background(server.outbox.run), an_agent(server.path) as agent:
        await agent.greet("ours")
        await agent.say(type="gap", lost=7)

        async def lost() -> EventsLost | None:
            return next((event for event in await server.events() if isinstance(event, EventsLost)), None)

        event = await eventually(lost, "the loss")
        assert (event.worker, event.count, event.host) == ("w@h", 7, "web-01")


async def test_when_redis_is_away_for_long_the_agent_keeps_its_events(server: AgentsServer) -> None:
    async with an_agent(server.path) as agent:
        await agent.greet("ours")
        for seq in range(1, 51):
            await agent.say(type="event", seq=seq, event=an_event(task_id=str(seq)))

        async def full() -> bool:
            return len(server.agent.runs.all()) == 50

        await eventually(full, "fifty events")
        await agent.say(type="event", seq=51, event=an_event(task_id="51"))
        await agent.say(type="stopping")
        async with background(server.outbox.run):
            while (await agent.hears("ack"))["seq"] < 51:
                pass
        # Not a word was heard out of turn.
        assert [event.task_id for event in await server.events() if isinstance(event, TaskStarted)][-1] == "51"


async def test_an_agent_can_be_reached_only_while_it_is_connected_and_read_and_has_reported_no_error(
    server: AgentsServer,
) -> None:
    async def unreachable() -> bool:
        return not server.agent.audible

    async def reachable() -> bool:
        return server.agent.audible

    assert await unreachable()
    async with an_agent(server.path) as agent:
        await agent.greet("ours")
        assert await reachable()
        for seq in range(1, 51):
            await agent.say(type="event", seq=seq, event=an_event(task_id=str(seq)))
        await eventually(unreachable, "an outbox that is full")
        async with background(server.outbox.run):
            await eventually(reachable, "an outbox with space")
    await eventually(unreachable, "the end of the connection")
    async with an_agent(server.path) as agent:
        await agent.say(type="hello", instance="ours", pid=1, kind="worker", protocol=1, error="ImportError: names")

        async def reported() -> bool:
            return server.agent.missing

        await eventually(reported, "the error")
        assert await unreachable()


async def test_a_proof_is_kept_back_until_the_controller_has_looked_itself(server: AgentsServer) -> None:
    async with background(server.outbox.run), an_agent(server.path) as agent:
        await agent.greet("ours")
        request = server.agent.ask(Cancel(command_id="c", task_id="t", grace=5.0))
        assert (await agent.hears("cancel"))["grace"] == 5.0
        await agent.say(type="event", seq=1, event=a_proof("c"))
        await agent.say(type="event", seq=2, event=an_event(task_id="another"))
        await agent.say(type="cancel", command_id="c", task_id="t", state="dead", pid=42, signal="TERM")
        assert await asyncio.wait_for(request.done, HANGS) == "cancelled"

        async def another() -> bool:
            return len(await server.events()) == 1

        await eventually(another, "the other event")
        [proof] = server.agent.events.release(request, keep_proof=True)
        server.outbox.put(proof.event, kept=server.agent.events.acknowledging(proof.seq))
        # Only now: an agent that had forgotten it earlier could not tell it to our successor.
        assert (await agent.hears("ack"))["seq"] == 2
    assert isinstance((await server.events())[-1], TaskCancelled)


async def test_a_proof_that_something_outlived_is_told_with_what_is_left(server: AgentsServer) -> None:
    async with background(server.outbox.run), an_agent(server.path) as agent:
        await agent.greet("ours")
        request = server.agent.ask(Cancel(command_id="c", task_id="t", grace=5.0))
        await agent.hears("cancel")
        await agent.say(type="event", seq=1, event=a_proof("c"))
        await agent.say(type="cancel", command_id="c", task_id="t", state="alive", pid=42)
        await asyncio.wait_for(request.done, HANGS)
        assert server.agent.events.release(request, keep_proof=False, survivors=2) == []
        assert (await agent.hears("ack"))["seq"] == 1
    [event] = await server.events()
    assert isinstance(event, TaskCancelled)
    assert event.left_processes == 2


async def test_a_question_is_asked_again_after_a_reconnect(server: AgentsServer) -> None:
    async with an_agent(server.path) as agent:
        await agent.greet("ours")
        request = server.agent.ask(Cancel(command_id="c", task_id="t", grace=5.0))
        await agent.hears("cancel")
    async with an_agent(server.path) as agent:
        await agent.greet("ours")
        assert (await agent.hears("cancel"))["command_id"] == "c"
        await agent.say(type="cancel", command_id="c", task_id="t", state="unknown")
        assert await asyncio.wait_for(request.done, HANGS) == "unknown"


async def test_a_dead_workers_runs_are_known_and_its_questions_answered(server: AgentsServer) -> None:
    async with an_agent(server.path) as agent:
        await agent.greet("ours")
        await agent.say(type="event", seq=1, event=an_event())
        await agent.say(type="event", seq=2, event=an_event(task_id="u"))
        await agent.say(type="stopping")

        async def heard() -> bool:
            return server.reports.words[-1] == "Stopping"

        await eventually(heard, "all of it")
        asked = server.agent.ask(Cancel(command_id="c", task_id="t", grace=5.0))
        elsewhere = server.agent.ask(Cancel(command_id="d", task_id="v", grace=5.0))
    await server.agent.quiet(5.0)
    slots = Slots(server.path, "ours")
    assert [run.task_id for run in server.agent.take_held_runs(slots, "ours").lost] == ["u"]
    assert (asked.result, elsewhere.result) == ("cancelled", "unknown")
    assert server.agents.workers() == []
