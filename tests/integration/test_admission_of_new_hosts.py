"""Which commands a host carries out that came after them, also when its controller has to start twice."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from signalbox.bus import names
from signalbox.bus.clock import BusClock
from signalbox.bus.connection import connect
from signalbox.messages.codec import encode
from signalbox.messages.commands import CancelTask, StopProcesses
from signalbox.messages.receipts import Concluded
from signalbox_controller.commands.admission import Admission
from support.stores.server import Redis


def a_stop(command_id: str, at: datetime) -> StopProcesses:
    return StopProcesses(
        command_id=command_id, issued_by="user:alice", issued_at=at, expires_at=at + timedelta(minutes=1)
    )


@pytest.mark.parametrize(("new", "says"), [(True, "ignored"), (False, "accepted")])
async def test_what_was_finished_before_a_host_came_is_not_for_it_at_its_second_start_either(
    tmp_path: Path, valkey: Redis, new: bool, says: str
) -> None:
    redis = connect(valkey.url)
    try:
        clock = BusClock(redis)
        at = await clock.now()
        stop, later = a_stop("before", at), a_stop("after", at)
        long_ago = at - timedelta(hours=1)
        cancel = CancelTask(
            command_id="c", issued_by="user:alice", issued_at=long_ago, expires_at=long_ago, task_id="t"
        )
        await redis.xadd(names.receipts("before"), {"data": encode(Concluded(command_id="before", at=at))})

        first = Admission(redis, clock, tmp_path / "arrival", new=new)
        await first.join()
        assert (await first.of(stop), await first.of(cancel)) == (says, says)
        second = Admission(redis, clock, tmp_path / "arrival", new=False)
        assert (await second.of(stop), await second.of(cancel)) == (says, says)
        assert await second.of(later) == "accepted"
    finally:
        await redis.aclose()
