"""What heartbeats, goodbyes and silence make of the tasks that a host runs, in the record."""

import pytest

from signalbox.messages.events import HostLeft
from signalbox_reconciler.store.lost import HOST_SILENT
from support.history import HOST, Life, after
from support.host_record import HostRecord, beat, kinds

LIFE = Life()
RUN = LIFE.run(2)


async def test_a_task_that_its_host_no_longer_runs_is_lost_after_some_heartbeats_but_not_confirmed(
    host_record: HostRecord,
) -> None:
    await host_record.events(RUN.started(), beat(4))
    assert await host_record.events(beat(10)) == []
    assert await host_record.events(beat(14)) == []
    assert kinds(await host_record.events(beat(16))) == {"task", "log"}
    for table in ("tasks", "task_logs"):
        row = await host_record.one(table)
        assert (row["status"], row["outcome"], row["confirmed"]) == ("failed", "worker_lost", False)


async def test_the_truth_corrects_what_was_inferred(host_record: HostRecord) -> None:
    await host_record.events(RUN.started(), beat(10))
    await host_record.events(beat(16))
    await host_record.events(RUN.succeeded(9))
    for table in ("tasks", "task_logs"):
        row = await host_record.one(table)
        assert (row["status"], row["confirmed"], row["finished_at"]) == ("completed", True, after(9))


async def test_a_task_that_was_given_up_too_early_runs_again(host_record: HostRecord) -> None:
    await host_record.events(RUN.started(), beat(10))
    await host_record.events(beat(16))
    assert kinds(await host_record.events(beat(18, RUN))) == {"task", "log"}
    for table in ("tasks", "task_logs"):
        row = await host_record.one(table)
        assert (row["status"], row["outcome"], row["error"], row["finished_at"], row["confirmed"]) == (
            "running",
            None,
            None,
            None,
            True,
        )


async def test_a_heartbeat_never_revives_what_was_seen_to_end(host_record: HostRecord) -> None:
    await host_record.events(beat(1), RUN.started(), RUN.cancelled(4))
    assert await host_record.events(beat(3, RUN)) == []
    assert await host_record.events(beat(5, RUN)) == []
    assert (await host_record.one("tasks"))["status"] == "failed"


async def test_a_task_whose_start_was_lost_is_running_as_its_host_says(host_record: HostRecord) -> None:
    await host_record.events(beat(1), LIFE.received(1))
    assert kinds(await host_record.events(beat(5, RUN))) == {"task", "log"}
    task, log = await host_record.one("tasks"), await host_record.one("task_logs")
    assert (task["status"], task["pid"], task["started_at"], task["run"]) == ("running", 100, after(2), RUN.key)
    assert (log["status"], log["pid"], log["run"], log["attempt"]) == ("running", 100, RUN.key, 1)


async def test_a_task_that_went_missing_and_is_listed_again_starts_afresh(host_record: HostRecord) -> None:
    await host_record.events(RUN.started(), beat(10))
    await host_record.events(beat(14, RUN))
    await host_record.events(beat(16))
    assert (await host_record.one("tasks"))["status"] == "running"


@pytest.mark.parametrize("ahead", [0, 3600, -3600])
async def test_what_ran_on_a_host_that_stays_silent_is_given_up_and_taken_back_when_the_host_says_so(
    host_record: HostRecord, ahead: int
) -> None:
    """Whatever the host's clock says."""
    run = LIFE.run(ahead + 2)
    await host_record.events(run.started(), beat(ahead + 4, run))
    assert kinds(await host_record.silence()) == {"host", "task"}
    assert kinds(await host_record.silence(60)) == {"task", "log"}
    for table in ("tasks", "task_logs"):
        row = await host_record.one(table)
        assert (row["status"], row["outcome"], row["confirmed"]) == ("failed", "worker_lost", False)
        assert (row["error"], row["finished_at"]) == (HOST_SILENT, after(ahead + 4))
    assert await host_record.silence(60) == []
    assert kinds(await host_record.events(beat(ahead + 80, run))) == {"host", "task", "log"}
    task = await host_record.one("tasks")
    assert (task["status"], task["confirmed"], task["error"], task["finished_at"]) == ("running", True, None, None)


async def test_what_ended_while_its_host_was_silent_ended_when_the_host_says(host_record: HostRecord) -> None:
    await host_record.events(RUN.started(), beat(4, RUN))
    await host_record.silence(90)
    await host_record.events(beat(100), RUN.succeeded(9))
    for table in ("tasks", "task_logs"):
        row = await host_record.one(table)
        assert (row["status"], row["confirmed"], row["finished_at"]) == ("completed", True, after(9))


async def test_what_a_controller_left_running_is_given_up_likewise(host_record: HostRecord) -> None:
    await host_record.events(RUN.started(), beat(4, RUN), HostLeft(at=after(5), host=HOST))
    assert kinds(await host_record.silence(90)) == {"task", "log"}
    assert (await host_record.one("hosts"))["state"] == "offline"
    assert (await host_record.one("tasks"))["confirmed"] is False
