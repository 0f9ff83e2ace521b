"""`signalbox apply` and SIGHUP: an edited signalbox.toml comes into effect, and only what differs is touched."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signalbox.messages.events import CommandGiven, ProcessChanged, TaskSucceeded
from support.cli import run
from support.eventually import eventually
from support.host import ROOT, SHOP, Host, a_host, lives
from support.stores.server import Redis
from support.unkillable import unkillable

EMAILS = """
[[apps.shop.workers]]
name = "emails"
queues = ["emails"]
pool = "solo"
"""
#: A beat, by the name of its application and by its own.
BEAT = """
[apps.{label}]
app = "traceable"
directory = "{folder}"
[apps.{label}.environment]
SHOP_BROKER_URL = "${{{{SHOP_BROKER_URL}}}}"
[apps.{label}.beat]
name = "{name}"
stop_timeout = 2.0
"""


def a_beat(label: str, name: str) -> str:
    return BEAT.format(label=label, name=name, folder=ROOT / "tests/support/apps")


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


async def test_a_beat_with_another_name_in_another_application_waits_until_the_former_one_has_ended(
    tmp_path: Path, valkey: Redis
) -> None:
    async with a_host(tmp_path / "host", valkey, a_beat("old", "clock")) as host:
        former = (await host.process_is("clock", "running")).pid
        assert former is not None
        with unkillable(former):
            host.configure(a_beat("new", "timer"))
            refused = await run("apply", data=host.data)
            assert refused.code == 1, refused
            assert "timer was not started, as clock has not ended" in refused.out + refused.err
            assert not await host.of(ProcessChanged, name="timer")
        await host.process_is("clock", "stopped")
        assert (await run("apply", data=host.data)).code == 0
        await host.process_is("timer", "running")
        assert not lives(former)


async def test_a_beat_with_another_name_in_another_application_takes_the_place_of_the_former_one(
    tmp_path: Path, valkey: Redis
) -> None:
    async with a_host(tmp_path / "host", valkey, a_beat("old", "clock")) as host:
        await host.process_is("clock", "running")
        host.configure(a_beat("new", "timer"))
        assert (await run("apply", data=host.data)).code == 0
        await host.process_is("timer", "running")
        told = [(event.name, event.state) for event in await host.of(ProcessChanged)]
        assert told.index(("clock", "stopped")) < min(i for i, (name, _) in enumerate(told) if name == "timer")
