"""The controller's own socket: what an operator on the host does when the bus is away."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from signalbox.local.places import operator_socket
from signalbox.local.protocol import NotDone, decode_reply
from signalbox.messages.events import CommandDone, CommandGiven, ProcessChanged, TaskCancelled, TaskFailed
from support.cli import Ended, run
from support.eventually import HANGS, eventually
from support.host import Host, a_host, exists
from support.shared_host import LOOKS, host_of_all, shared_host
from support.stores.server import Redis

#: Fixtures that stand in a module of their own.
__all__ = ["host_of_all", "shared_host"]


@pytest.fixture
async def host(tmp_path: Path, valkey: Redis) -> AsyncIterator[Host]:
    async with a_host(tmp_path / "host", valkey) as one:
        await one.process_is("worker", "running")
        yield one


#: A stop by a user who can open the socket: its permissions are not all that protects it.
_AS_SOMEBODY_ELSE = """
import os, socket, sys
os.setuid(65534)
with socket.socket(socket.AF_UNIX) as peer:
    peer.settimeout(60.0)
    peer.connect(sys.argv[1])
    peer.sendall(b'{"type":"StopProcesses"}\\n')
    print(peer.recv(65536).decode())
"""


def said(host: Host, line: bytes) -> str:
    """What the controller answers to a line that makes no sense to it."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(HANGS)
        peer.connect(str(operator_socket(host.data)))
        peer.sendall(line)
        reply = decode_reply(peer.recv(65_536))
    assert isinstance(reply, NotDone)
    return reply.message


async def state(host: Host, state: str) -> dict[str, Any]:
    """The one process as the host itself shows it, as soon as it has this state."""

    async def look() -> dict[str, Any]:
        shown = json.loads((await run("status", "--local", "--json", data=host.data)).out)
        process: dict[str, Any]
        [process] = shown["hosts"][0]["processes"]
        assert process["state"] == state, process
        return process

    return await eventually(look, f"it is {state}")


async def test_without_redis_celery_is_stopped_on_its_host_and_the_world_hears_of_it_later(
    host: Host, valkey: Redis
) -> None:
    stubborn = await host.running("stubborn.ignore_term", seconds=120.0)
    worker = await host.pid("worker")
    await valkey.stop()
    ended = await run("stop", "--local", "--mode", "immediate", "--reason", "Redis is away", data=host.data)
    assert not [pid for pid in (worker, stubborn.pid) if exists(pid)]
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("web-01 has been stopped; 1 running task ended with it; the record follows")
    await valkey.start()
    failed = await host.seen(TaskFailed, task_id=stubborn.task_id)
    assert (failed.outcome, failed.error) == ("stopped", "Celery was stopped by root on web-01: Redis is away")
    given = await host.seen(CommandGiven)
    assert (given.command.issued_by, given.command.reason) == ("local:root@web-01", "Redis is away")
    assert (await host.seen(CommandDone, command_id=given.command.command_id)).verdict == "stopped"
    assert (await host.of(ProcessChanged, name="worker"))[-1].desired == "stopped"


async def test_without_redis_celery_is_shown_and_started_and_a_task_cancelled(host: Host, valkey: Redis) -> None:
    task = await host.running()
    await valkey.stop()
    shown = await state(host, "starting")  # as soon as the worker knows that its broker, the same Redis, is away
    cancelled = await run("cancel", task.task_id, "--local", data=host.data)
    assert not exists(task.pid)
    assert cancelled.code == 0, cancelled.err
    assert cancelled.out.startswith("Task count_stock has been cancelled; the record follows")
    assert (shown["name"], shown["pid"]) == ("worker", await host.pid("worker"))
    await run("stop", "--local", "--mode", "immediate", data=host.data)
    table = (await run("status", "--local", data=host.data)).out.splitlines()
    assert table[1].split()[:5] == ["web-01", "worker", "worker", "stopped", "stopped"]
    starting = asyncio.create_task(run("start", "--local", data=host.data))
    await valkey.start()  # a worker consumes only with its broker, which is the same Redis here
    started = await starting
    assert started.code == 0, started.err
    assert (await host.seen(TaskCancelled, task_id=task.task_id)).pid == task.pid
    await host.process_is("worker", "running")


async def test_what_a_controller_could_not_tell_before_it_was_killed_is_told_by_the_next(
    host: Host, valkey: Redis
) -> None:
    stubborn = await host.running("stubborn.ignore_term", seconds=120.0)
    await valkey.stop()
    ended = await run("stop", "--local", "--mode", "immediate", "--reason", "Redis is away", data=host.data)
    assert ended.code == 0, ended.err
    await host.end_hard()
    await valkey.start()
    host.start()
    failed = await host.seen(TaskFailed, task_id=stubborn.task_id)
    assert (failed.outcome, failed.error) == ("stopped", "Celery was stopped by root on web-01: Redis is away")
    assert (await host.process_is("worker", "stopped")).desired == "stopped"
    wills = host.data / "controller" / "wills"

    async def told() -> bool:
        return not list(wills.iterdir())

    await eventually(told, "what was written down is removed once it is told")


@LOOKS
async def test_many_are_cancelled_on_the_host_itself_and_each_has_an_outcome(shared_host: Host) -> None:
    one, other = [await shared_host.running(), await shared_host.running()]
    nobody = "8f8b3c1e-5a64-4d0c-9a52-0d6c3f4a7f10"
    ended = await run("cancel", one.task_id, other.task_id, nobody, "--local", "--json", data=shared_host.data)
    assert not exists(one.pid)
    assert not exists(other.pid)
    outcomes = {outcome["task_id"]: outcome["outcome"] for outcome in json.loads(ended.out)}
    assert outcomes == {one.task_id: "cancelled", other.task_id: "cancelled", nobody: "unknown"}
    assert (ended.code, ended.err) == (1, "1 of 3 tasks were not cancelled.\n")


@LOOKS
async def test_many_that_do_not_end_in_time_are_accepted_and_not_called_cancelled(shared_host: Host) -> None:
    ids = [(await shared_host.running("stubborn.ignore_term", seconds=120.0)).task_id for _ in range(2)]
    ended = await run("cancel", *ids, "--local", "--wait", "0", "--grace", "3", data=shared_host.data)
    assert (ended.code, ended.err) == (0, "")  # nobody wanted to wait for the proof
    assert ended.out.splitlines()[-1] == "0 of 2 tasks have been cancelled; 2 are not proven to be over yet."
    assert {(await shared_host.seen(TaskCancelled, task_id=task_id)).signal for task_id in ids} == {"KILL"}


@LOOKS
async def test_a_dry_run_on_the_host_itself_cancels_nothing(shared_host: Host) -> None:
    task = await shared_host.running()
    ended = await run("cancel", task.task_id, "--dry-run", "--local", data=shared_host.data)
    assert (ended.code, ended.out) == (1, "")
    assert "leave --dry-run or --local out" in ended.err
    await shared_host.running()  # whatever the controller was told before that is done
    assert exists(task.pid)


@LOOKS
async def test_only_its_own_host_is_reached(shared_host: Host) -> None:
    elsewhere = await run("stop", "--local", "--host", "web-02", data=shared_host.data)
    unknown = await run("stop", "--local", "--process", "other", data=shared_host.data)
    assert elsewhere == Ended(1, "", "This is web-01; its own socket reaches no other host.\n")
    assert (unknown.code, unknown.out) == (1, "")
    assert "No process of that name" in unknown.err
    assert exists(await shared_host.pid("worker"))


@LOOKS
async def test_what_is_not_a_request_is_refused_with_the_reason(shared_host: Host) -> None:
    assert "not a request" in await asyncio.to_thread(said, shared_host, b"nonsense\n")
    assert "not a request" in await asyncio.to_thread(said, shared_host, b'{"type":"RunCommand","argv":["sh"]}\n')
    assert "not a request" in await asyncio.to_thread(said, shared_host, b"x" * 100_000 + b"\n")
    assert (await run("status", "--local", data=shared_host.data)).code == 0


@LOOKS
async def test_only_its_owner_can_open_the_socket(shared_host: Host) -> None:
    path = operator_socket(shared_host.data)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else for a moment")
async def test_somebody_else_who_gets_at_the_socket_is_refused(host: Host) -> None:
    path = operator_socket(host.data)
    path.parent.chmod(0o711)
    path.chmod(0o666)
    somebody = subprocess.run(
        [sys.executable, "-c", _AS_SOMEBODY_ELSE, path.name],
        check=False,
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=HANGS,
    )
    assert "Only root and the user that the controller runs as" in somebody.stdout, somebody.stderr
    assert exists(await host.pid("worker"))


async def test_without_a_controller_it_says_where_it_looked(tmp_path: Path) -> None:
    ended = await run("stop", "--local", data=tmp_path)
    assert ended.code == 3
    assert str(operator_socket(tmp_path)) in ended.err
    nonsense = await run("stop", "--local", "--url", "http://127.0.0.1:1", data=tmp_path)
    assert nonsense.code == 2
