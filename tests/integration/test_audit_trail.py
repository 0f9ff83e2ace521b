"""Commands on a real bus become lines of the audit trail, the refused ones too."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from signalbox.bus import names
from signalbox.bus.publisher import publish_command
from signalbox.messages.base import utc_now
from signalbox.messages.codec import encode, sign
from signalbox.messages.commands import CancelTask, StopProcesses
from support.history import HOST, Life
from support.reconciler import KEY, Recording, a_recording
from support.stores.server import Redis


@pytest.fixture
async def recording(valkey: Redis, database_url: str, tmp_path: Path) -> AsyncIterator[Recording]:
    async with a_recording(valkey, database_url, tmp_path) as recording:
        await recording.start()
        yield recording


def a_cancel(command_id: str = "c1", reason: str = "customer closed the account") -> CancelTask:
    now = utc_now()
    return CancelTask(
        command_id=command_id,
        issued_by="user:alice",
        issued_from="10.0.0.1",
        reason=reason,
        issued_at=now,
        expires_at=now + timedelta(seconds=60),
        task_id="t1",
    )


async def test_the_trail_says_who_wants_what_from_where_and_why(recording: Recording) -> None:
    await recording.tell(Life().run(2).started())
    await recording.task("running")
    cancel = a_cancel()
    await publish_command(recording.redis, KEY, cancel)
    line = await recording.command("issued")
    assert (line["command"], line["target"], line["issued_by"]) == ("CancelTask", "t1", "user:alice")
    assert (line["issued_from"], line["reason"]) == ("10.0.0.1", "customer closed the account")
    assert (line["issued_at"], line["expires_at"], line["finished_at"]) == (cancel.issued_at, cancel.expires_at, None)
    [shown] = await recording.changed("command")
    assert shown["command_id"] == "c1"
    assert (await recording.task("running"))["cancel_requested_at"] == cancel.issued_at
    await recording.nothing_pending(names.COMMANDS)


async def test_a_stop_is_on_the_trail_with_its_target(recording: Recording) -> None:
    now = utc_now()
    stop = StopProcesses(command_id="c1", issued_by="token:deploys", issued_at=now, expires_at=now, hosts=(HOST,))
    await publish_command(recording.redis, KEY, stop)
    line = await recording.command("issued")
    assert (line["target"], line["tasks_total"]) == (f"all processes on {HOST}", 0)


@pytest.mark.parametrize(
    "sign_it",
    [lambda _: b"", lambda _: b"nonsense", partial(sign, "another key")],
    ids=["unsigned", "nonsense", "another key"],
)
async def test_a_forged_command_is_on_the_trail_as_refused_and_marks_no_task(
    recording: Recording, sign_it: Callable[[bytes], bytes]
) -> None:
    await recording.tell(Life().run(2).started())
    data = encode(a_cancel())
    await recording.redis.xadd(names.COMMANDS, {"data": data, "sig": sign_it(data)})
    line = await recording.shows("SELECT * FROM commands")
    assert (line["state"], line["issued_by"], line["finished_at"] is not None) == ("refused", "user:alice", True)
    assert "not signed" in line["detail"]
    assert (await recording.task("running"))["cancel_requested_at"] is None


async def test_a_forged_copy_does_not_touch_the_line_of_the_genuine_command(recording: Recording) -> None:
    await publish_command(recording.redis, KEY, a_cancel())
    await recording.redis.xadd(names.COMMANDS, {"data": encode(a_cancel(reason="mine")), "sig": b"nonsense"})
    await recording.shows("SELECT * FROM commands WHERE state = 'refused' AND reason = 'mine'")
    assert (await recording.command("issued"))["reason"] == "customer closed the account"


async def test_what_is_no_command_goes_to_the_dead_letters(recording: Recording) -> None:
    await recording.redis.xadd(names.COMMANDS, {"data": b'{"type":"RunShell"}', "sig": b""})
    await publish_command(recording.redis, KEY, a_cancel())
    await recording.command("issued")
    assert "RunShell" in (await recording.dead(names.COMMANDS))[b'{"type":"RunShell"}']
