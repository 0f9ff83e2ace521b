"""`signalbox apply` and SIGHUP: an edited signalbox.toml comes into effect, and only what differs is touched."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signalbox.messages.events import CommandGiven, ProcessChanged, TaskSucceeded
from support.cli import run
from support.eventually import eventually
from support.host import SHOP, Host, a_host, lives
from support.stores.server import Redis

EMAILS = """
[[apps.shop.workers]]
name = "emails"
queues = ["emails"]
pool = "solo"
"""


@pytest.fixture
async def host(tmp_path: Path, valkey: Redis) -> AsyncIterator[Host]:
    async with a_host(tmp_path / "host", valkey, SHOP + EMAILS) as one:
        await one.process_is("worker", "running")
        await one.process_is("emails", "running")
        yield one


async def test_apply_says_what_differs_and_changes_just_that(host: Host) -> None:
    worker, emails = await host.pid("worker"), await host.pid("emails")
    task = await host.running(seconds=3.0)
    edited = SHOP.replace("stop_timeout = 10.0", "stop_timeout = 11.0") + EMAILS.replace("emails", "letters")
    host.configure(edited)
    planned = await run("apply", "--dry-run", data=host.data)
    assert planned.code == 0, planned
    assert [line.split()[:2] for line in planned.out.splitlines()[1:]] == [
        ["worker", "adjust"],
        ["letters", "start"],
        ["emails", "stop"],
    ]
    assert lives(emails)

    done = await run("apply", data=host.data)
    assert (done.code, done.out.splitlines()[-1]) == (0, "Done."), done
    letters = await host.process_is("letters", "running")
    assert letters.node == "letters@web-01"
    assert not lives(emails)
    assert await host.pid("worker") == worker
    assert (await host.seen(TaskSucceeded, task_id=task.task_id)).run == task.run
    given = await host.of(CommandGiven)
    assert {type(event.command).__name__ for event in given} == {"StopProcesses", "StartProcesses"}
    assert {event.command.reason for event in given} == {"signalbox.toml was edited"}
    assert "nothing is to be changed" in (await run("apply", data=host.data)).out


async def test_other_options_come_by_a_restart_and_a_bad_file_changes_nothing(host: Host) -> None:
    worker, emails = await host.pid("worker"), await host.pid("emails")
    host.configure(SHOP.replace("concurrency", "concurency") + EMAILS)
    refused = await run("apply", data=host.data)
    assert refused.code == 1
    assert "Nothing was changed" in refused.err
    assert "'concurency'" in refused.err

    host.configure(SHOP.replace("concurrency = 2", "concurrency = 1") + EMAILS)
    left = await run("apply", "--restart", "none", data=host.data)
    assert "marks what runs with other options" in left.out, left
    assert (await host.process_is("worker", "running")).outdated == "concurrency"
    assert host.process is not None
    host.process.send_signal(signal.SIGHUP)

    async def replaced() -> bool:
        told = await host.process_is("worker", "running")
        return told.pid != worker and told.outdated == ""

    await eventually(replaced, "a worker with the other options")
    assert not lives(worker)
    assert await host.pid("emails") == emails


async def test_a_reload_of_a_controller_that_is_just_starting_does_not_end_it(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey) as host:
        assert host.process is not None

        async def began() -> bool:
            return "groups: " in host.log  # the first that it says

        await eventually(began, "the controller's first words")
        host.process.send_signal(signal.SIGHUP)
        ended = host.process.poll

        async def decided() -> bool:
            return ended() is not None or bool(await host.of(ProcessChanged, name="worker", state="running"))

        await eventually(decided, "the worker runs, or the controller has ended")
        assert ended() is None
