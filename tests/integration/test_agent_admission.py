"""Who is let in at the agents' socket of a controller, and who is turned away."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signalbox_agent.proc import identify
from support.agent_side import an_agent
from support.agents_server import AgentsServer, an_agents_server
from support.eventually import eventually
from support.stores.server import Redis


@pytest.fixture
async def server(valkey: Redis, tmp_path: Path) -> AsyncIterator[AgentsServer]:
    async with an_agents_server(valkey, tmp_path / "agents.sock") as one:
        yield one


async def test_a_launched_worker_is_let_in_and_told_what_must_never_run(server: AgentsServer) -> None:
    async with an_agent(server.path) as agent:
        welcome = await agent.greet("ours")
        expected = {"type": "welcome", "acked": 0, "cancelled": ["cancelled before"]}
        assert welcome == expected | {"leased": False, "takes_runs": True}
        assert server.reports.words == ["greeted, ready"]
        assert server.agents.workers() == [server.agent]


async def test_whoever_we_did_not_launch_is_turned_away(server: AgentsServer) -> None:
    async with an_agent(server.path) as agent:
        await agent.say(type="hello", instance="theirs", pid=1, kind="worker", protocol=1)
        assert await agent.is_hung_up_on()
    assert server.reports.words == []


async def test_a_worker_that_its_command_starts_as_a_child_is_let_in_and_says_so(server: AgentsServer) -> None:
    said: list[list[str]] = []
    server.reports.on_report = lambda report: said.append(getattr(report, "missing", []))  # type: ignore[method-assign]
    code = (
        "import json, os, socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
        "hello = dict(type='hello', instance='ours', pid=os.getpid(), kind='worker', protocol=1, ready=True);"
        "s.sendall(json.dumps(hello).encode() + b'\\n'); sys.stdin.read()"
    )
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(server.path), stdin=asyncio.subprocess.PIPE
    )
    try:
        await eventually(lambda: _answer(bool(said)), "a hello from a child of the main process")
        assert "starts the interpreter as a child" in said[0][0]
    finally:
        worker.kill()
        await worker.wait()


async def _answer(value: bool) -> bool:
    return value


async def test_nobody_else_may_speak_in_the_name_of_a_worker_that_we_launched(server: AgentsServer) -> None:
    worker = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        server.agent.main = identify(worker.pid)
        async with an_agent(server.path) as agent:
            await agent.say(type="hello", instance="ours", pid=worker.pid, kind="worker", protocol=1)
            assert await agent.is_hung_up_on()
    finally:
        worker.kill()
        await worker.wait()
    assert server.reports.words == []


async def test_an_agent_of_another_protocol_is_turned_away(server: AgentsServer) -> None:
    async with an_agent(server.path) as agent:
        await agent.say(type="hello", instance="ours", pid=1, kind="worker", protocol=2)
        assert await agent.is_hung_up_on()
