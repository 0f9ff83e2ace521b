"""What heartbeats, goodbyes and silence make of hosts and processes in the record."""

from datetime import timedelta

import msgspec

from signalbox.messages.base import utc_now
from signalbox.messages.commands import StopProcesses
from signalbox.messages.events import CommandDone, HostLeft, HostSeen, ProcessChanged
from signalbox_reconciler.store import ChangedViews
from signalbox_reconciler.store.checks import check_hosts
from support.history import HOST, Life, after
from support.host_record import HostRecord, beat, kinds, row_of, worker

LIFE = Life()
RUN = LIFE.run(2)


async def test_a_host_and_its_processes_are_shown_as_soon_as_they_are_seen(host_record: HostRecord) -> None:
    changes = await host_record.events(beat(1, processes=[worker("running", 0)]))
    assert sorted(change.key for change in changes) == [HOST, f"{HOST}/worker"]
    assert (await host_record.one("hosts"))["state"] == "online"


async def test_a_heartbeat_that_says_nothing_new_is_not_told_to_anybody(host_record: HostRecord) -> None:
    await host_record.events(beat(1, processes=[worker("running", 0)]))
    assert await host_record.events(beat(3, processes=[worker("running", 0)])) == []
    assert (await host_record.one("hosts"))["at"] == after(3)


async def test_the_queues_of_a_worker_are_shown_and_a_change_of_them_is_told(host_record: HostRecord) -> None:
    def consuming(seconds: float, *queues: str) -> ProcessChanged:
        return msgspec.structs.replace(worker("running", seconds), queues=queues)

    other = msgspec.structs.replace(worker("running", 1), name="other")
    await host_record.events(beat(1, processes=[consuming(1, "mail", "a queue, of theirs"), other]))
    assert await host_record.events(beat(2, processes=[consuming(2, "mail", "a queue, of theirs"), other])) == []
    (change,) = await host_record.events(beat(3, processes=[consuming(3, "mail"), other]))
    assert (change.key, msgspec.json.decode(change.row)["queues"]) == (f"{HOST}/worker", ["mail"])


async def test_what_a_host_can_prove_is_shown_and_a_change_of_it_is_told(host_record: HostRecord) -> None:
    await host_record.events(beat(1))
    proof = msgspec.structs.replace(beat(2), proof="search", proof_detail="not writable")
    assert [change.key for change in await host_record.events(proof)] == [HOST]
    host = await host_record.one("hosts")
    assert (host["proof"], host["proof_detail"]) == ("search", "not writable")
    older = msgspec.structs.replace(beat(1), proof="cgroup")
    assert await host_record.events(older) == []
    assert (await host_record.one("hosts"))["proof"] == "search"


async def test_what_a_run_has_left_running_is_shown_and_not_carried_over_to_the_next(host_record: HostRecord) -> None:
    await host_record.events(LIFE.received(1), RUN.started(), RUN.retried(3))
    assert [(await host_record.one(table))["left_processes"] for table in ("tasks", "task_logs")] == [2, 2]
    await host_record.events(LIFE.run(5, retries=1).started())
    assert (await host_record.one("tasks"))["left_processes"] == 0


async def test_what_has_proven_a_cancel_is_shown(host_record: HostRecord) -> None:
    await host_record.events(RUN.started(), RUN.cancelled(3))
    assert [(await host_record.one(table))["proof"] for table in ("tasks", "task_logs")] == ["cgroup", "cgroup"]


async def test_an_old_state_of_a_process_does_not_replace_a_newer_one(host_record: HostRecord) -> None:
    await host_record.events(worker("running", 2))
    assert await host_record.events(worker("starting", 1)) == []
    assert (await host_record.one("processes"))["state"] == "running"


async def test_a_silent_host_is_unknown_and_so_is_all_that_runs_on_it(host_record: HostRecord) -> None:
    await host_record.events(beat(1, processes=[worker("running", 0)]), RUN.started())
    changes = await host_record.silence()
    assert kinds(changes) == {"host", "process", "task"}
    assert (await host_record.one("hosts"))["state"] == "unknown"
    assert (await host_record.one("processes"))["state"] == "unknown"
    task = await host_record.one("tasks")
    assert (task["status"], task["confirmed"]) == ("running", False)
    assert await host_record.silence() == []


async def test_a_host_that_is_heard_again_is_what_it_says(host_record: HostRecord) -> None:
    await host_record.events(beat(1, processes=[worker("running", 0)]), RUN.started())
    await host_record.silence()
    changes = await host_record.events(beat(20, RUN, processes=[worker("running", 0)]))
    assert kinds(changes) == {"host", "process", "task"}
    assert (await host_record.one("processes"))["state"] == "running"
    assert (await host_record.one("tasks"))["confirmed"] is True


async def test_a_host_that_is_heard_is_not_silent_whatever_its_clock_says(host_record: HostRecord) -> None:
    await host_record.events(beat(-86400))
    assert (await host_record.one("hosts"))["state"] == "online"
    async with host_record.database.transaction() as connection:
        seen = ChangedViews()
        await check_hosts(connection, seen)
    assert seen.changes() == []


async def test_what_a_controller_that_left_has_stopped_is_stopped_and_the_rest_unknown(host_record: HostRecord) -> None:
    ended = msgspec.structs.replace(worker("stopped", 0), name="ended")
    await host_record.events(beat(1, processes=[worker("running", 0), ended]))
    changes = await host_record.events(HostLeft(at=after(2), host=HOST))
    assert sorted(change.key for change in changes) == [HOST, f"{HOST}/worker"]
    states = {change.key: msgspec.json.decode(change.row)["state"] for change in changes}
    assert states == {HOST: "offline", f"{HOST}/worker": "unknown"}


async def test_what_is_told_late_of_a_host_whose_controller_has_left_is_not_shown_as_sure(
    host_record: HostRecord,
) -> None:
    await host_record.events(beat(1, processes=[worker("starting", 0)]), HostLeft(at=after(9), host=HOST))
    await host_record.events(RUN.started(), beat(4, RUN, processes=[worker("running", 3)]))
    assert kinds(await host_record.silence(0)) == {"task", "process"}
    assert (await host_record.one("hosts"))["state"] == "offline"
    assert (await host_record.one("processes"))["state"] == "unknown"
    for table in ("tasks", "task_logs"):
        row = await host_record.one(table)
        assert (row["status"], row["confirmed"]) == ("running", False)
    assert await host_record.silence(0) == []


async def test_a_process_that_was_taken_out_of_the_configuration_leaves_the_list(host_record: HostRecord) -> None:
    other = msgspec.structs.replace(worker("running", 0), name="renamed")
    await host_record.events(beat(1, processes=[worker("running", 0)]))
    changes = await host_record.events(beat(3, processes=[other]))
    assert (await host_record.one("processes"))["name"] == "renamed"
    rows = {change.key: msgspec.json.decode(change.row) for change in changes}
    assert (rows[f"{HOST}/worker"], rows[f"{HOST}/renamed"]["state"]) == (None, "running")


async def test_a_host_that_is_away_is_forgotten_only_by_a_person_or_after_the_set_time(host_record: HostRecord) -> None:
    await host_record.events(beat(1, RUN, processes=[worker("running", 0)]), RUN.started())
    await host_record.silence(7000)
    assert (await host_record.one("hosts"))["state"] == "unknown"
    changes = await host_record.silence(300)
    assert [row_of(change)["state"] for change in changes if change.kind == "host"] == ["gone"]
    assert await host_record.all("processes") == []


async def test_a_host_that_left_while_its_worker_runs_on_is_shown_until_a_person_forgets_it(
    host_record: HostRecord,
) -> None:
    await host_record.events(beat(1, processes=[worker("running", 0)]), HostLeft(at=after(2), host=HOST))
    for _ in range(3):
        await host_record.silence(86400)
    assert (await host_record.one("hosts"))["state"] == "offline"
    assert [row["state"] for row in await host_record.all("processes")] == ["unknown"]
    await host_record.forget(HOST)
    assert (await host_record.one("hosts"))["state"] == "gone"


async def test_a_host_that_was_away_for_long_and_reports_its_worker_as_ended_leaves_as_any_other(
    host_record: HostRecord,
) -> None:
    await host_record.events(beat(1, processes=[worker("running", 0)]), HostLeft(at=after(2), host=HOST))
    await host_record.silence(86400)
    await host_record.events(beat(9, processes=[worker("stopped", 8)]), HostLeft(at=after(10), host=HOST))
    await host_record.silence(3700)
    assert (await host_record.one("hosts"))["state"] == "gone"


async def test_a_forgotten_host_leaves_no_process_and_no_running_task_and_a_late_event_brings_none_back(
    host_record: HostRecord,
) -> None:
    await host_record.events(beat(1, RUN, processes=[worker("running", 0)]), RUN.started())
    await host_record.silence()
    changes = await host_record.forget(HOST)
    rows = {(change.kind, change.key): row_of(change) for change in changes}
    assert (rows["host", HOST]["state"], rows["process", f"{HOST}/worker"]) == ("gone", None)
    assert (await host_record.one("commands"))["state"] == "forgotten"
    await host_record.events(HostLeft(at=after(9), host=HOST), worker("running", 5))
    await host_record.silence(0)
    assert ((await host_record.one("hosts"))["state"], await host_record.all("processes")) == ("gone", [])
    task = await host_record.one("tasks")
    assert (task["status"], task["outcome"], task["confirmed"]) == ("failed", "worker_lost", False)
    assert "forgotten" in task["error"]
    await host_record.silence(4000)
    await host_record.age_gone(4000)
    await host_record.silence(0)
    assert await host_record.all("hosts") == []


async def test_a_forgotten_host_that_reports_again_is_shown_with_all_that_runs_there(host_record: HostRecord) -> None:
    await host_record.events(beat(1, RUN, processes=[worker("running", 0)]), RUN.started())
    await host_record.silence()
    await host_record.forget(HOST)
    await host_record.silence(0)
    await host_record.events(beat(20, RUN, processes=[worker("running", 0)]))
    await host_record.silence(0)
    assert (await host_record.one("hosts"))["state"] == "online"
    assert (await host_record.one("processes"))["state"] == "running"
    assert [(await host_record.one(table))["status"] for table in ("tasks", "task_logs")] == ["running", "running"]


async def test_a_host_that_reports_is_not_forgotten_and_the_trail_says_so(host_record: HostRecord) -> None:
    await host_record.events(beat(1, processes=[worker("running", 0)]))
    await host_record.forget(HOST)
    assert (await host_record.one("hosts"))["state"] == "online"
    line = await host_record.one("commands")
    assert (line["state"], line["detail"]) == ("refused", f"{HOST} reports: stop its controller first")


async def test_a_host_that_left_with_nothing_running_is_forgotten_within_the_hour_and_with_a_worker_it_is_not(
    host_record: HostRecord,
) -> None:
    await host_record.events(beat(1, processes=[worker("stopped", 0)]), HostLeft(at=after(2), host=HOST))
    left = msgspec.structs.replace(beat(1, processes=[worker("running", 0)]), host="other")
    await host_record.events(left, HostLeft(at=after(2), host="other"))
    await host_record.silence(3500)
    await host_record.silence(90)
    states = {row["name"]: row["state"] for row in await host_record.all("hosts")}
    assert states == {HOST: "offline", "other": "offline"}
    await host_record.silence(20)
    states = {row["name"]: row["state"] for row in await host_record.all("hosts")}
    assert states == {HOST: "gone", "other": "offline"}


async def test_a_stop_of_everything_does_not_wait_for_a_forgotten_host(host_record: HostRecord) -> None:
    await host_record.events(beat(1, processes=[worker("running", 0)]))
    await host_record.silence()
    await host_record.forget(HOST)
    other = msgspec.structs.replace(beat(2, processes=[worker("running", 0)]), host="other")
    await host_record.events(other)
    stop = StopProcesses(command_id="s1", issued_by="user:alice", issued_at=after(3), expires_at=after(10**9))
    await host_record.commands(stop)
    await host_record.events(CommandDone(at=after(4), host="other", command_id="s1", verdict="stopped"))
    [line] = [row for row in await host_record.all("commands") if row["command_id"] == "s1"]
    assert line["state"] == "stopped"


async def test_a_process_that_goes_by_another_name_is_not_shown_as_stopped_under_its_former_one(
    host_record: HostRecord,
) -> None:
    former = msgspec.structs.replace(worker("running", 0), instance="i1", pid=4711)
    await host_record.events(beat(1, processes=[former]))
    await host_record.events(beat(2, processes=[msgspec.structs.replace(former, name="emails")]))
    shown = await host_record.one("processes")
    assert (shown["name"], shown["state"], shown["pid"]) == ("emails", "running", 4711)


async def test_a_worker_of_others_whose_name_the_configuration_takes_is_shown_once(host_record: HostRecord) -> None:
    guest = msgspec.structs.replace(worker("running", 0), guest=True, instance="i1", pid=4711)
    await host_record.events(beat(1, processes=[guest]))
    ours = msgspec.structs.replace(worker("running", 1), instance="i2", pid=4712)
    await host_record.events(beat(2, processes=[ours, msgspec.structs.replace(guest, name="worker-4711")]))
    shown = {row["name"]: (row["guest"], row["state"]) for row in await host_record.all("processes")}
    assert shown == {"worker": (False, "running"), "worker-4711": (True, "running")}
    moved = msgspec.structs.replace(guest, name="worker-4711-2")
    await host_record.events(beat(3, processes=[ours, moved]))
    assert {row["name"] for row in await host_record.all("processes")} == {"worker", "worker-4711-2"}


async def test_what_the_configuration_says_of_a_process_is_shown_and_told(host_record: HostRecord) -> None:
    runs = worker("running", 0)
    await host_record.events(beat(1, processes=[runs]))
    [change] = await host_record.events(beat(2, processes=[msgspec.structs.replace(runs, outdated="queues")]))
    assert (change.kind, b'"outdated":"queues"' in bytes(change.row)) == ("process", True)
    await host_record.events(beat(3, processes=[msgspec.structs.replace(runs, configured=False)]))
    shown = await host_record.one("processes")
    assert (shown["configured"], shown["outdated"]) == (False, "")


async def test_the_last_process_of_a_host_leaves_the_list_as_any_other_does(host_record: HostRecord) -> None:
    await host_record.events(beat(1, processes=[worker("stopped", 0)]))
    (change,) = await host_record.events(beat(10))
    assert (change.kind, row_of(change)) == ("process", None)
    assert await host_record.all("processes") == []


async def test_a_time_that_has_not_come_yet_hides_nothing_that_is_true(host_record: HostRecord) -> None:
    """As a host with a wrong clock says it before an upgrade, or before it has heard the clock of the bus."""
    now = utc_now()
    ahead, removed = now + timedelta(hours=1), msgspec.structs.replace(worker("running", 0), name="removed")
    was = [msgspec.structs.replace(one, at=ahead) for one in (worker("running", 0), removed)]
    await host_record.events(HostSeen(at=ahead, host=HOST, processes=tuple(was)))
    await host_record.events(HostLeft(at=ahead + timedelta(seconds=1), host=HOST))
    stopped = msgspec.structs.replace(worker("stopped", 0), at=now)
    await host_record.events(HostSeen(at=now, host=HOST, processes=(stopped,)))
    assert (await host_record.one("hosts"))["state"] == "online"
    process = await host_record.one("processes")
    assert (process["name"], process["state"]) == ("worker", "stopped")
