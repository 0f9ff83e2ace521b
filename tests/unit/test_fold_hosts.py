"""What a heartbeat says of the processes and tasks of its host."""

from datetime import datetime
from itertools import permutations

from signalbox.messages.base import ProcessState
from signalbox.messages.events import AnyEvent, HostLeft, HostSeen, ProcessChanged
from signalbox_reconciler.fold import fold
from signalbox_reconciler.fold.snapshots import Difference, RecordedRun, compare
from support.history import HOST, Life, after

RUN = Life().run(0)
KEY = ("t1", RUN.key)


def worker(state: ProcessState, seconds: float) -> ProcessChanged:
    return ProcessChanged(at=after(seconds), host=HOST, name="worker", kind="worker", state=state, desired="running")


def snapshot(seconds: float, *running: tuple[str, str]) -> HostSeen:
    return HostSeen(host=HOST, at=after(seconds), interval=2.0, processes=(), running=running)


def running(*, missing_since: datetime | None = None, confirmed: bool = True) -> RecordedRun:
    return RecordedRun(
        task_id="t1",
        run=RUN.key,
        host=HOST,
        started_at=after(0),
        confirmed=confirmed,
        missing_since=missing_since,
    )


def test_the_latest_state_of_a_process_is_shown_in_whatever_order_it_is_told() -> None:
    for order in permutations([worker("starting", 1), worker("running", 2), worker("stopped", 3)]):
        assert fold(order).processes[HOST, "worker"].state == "stopped"


def test_a_heartbeat_says_how_processes_are_now_although_they_changed_long_ago() -> None:
    beat = HostSeen(at=after(10), host=HOST, processes=(worker("running", 1),))
    assert fold([worker("starting", 5), beat]).processes[HOST, "worker"].state == "running"


def test_a_host_that_left_is_offline_until_it_is_seen_again() -> None:
    goodbye: list[AnyEvent] = [HostSeen(at=after(1), host=HOST), HostLeft(at=after(2), host=HOST)]
    for order in permutations(goodbye):
        assert not fold(order).hosts[HOST].online
    for order in permutations([*goodbye, HostSeen(at=after(3), host=HOST)]):
        assert fold(order).hosts[HOST].online


def test_only_the_latest_heartbeat_of_a_batch_counts() -> None:
    late, early = HostSeen(at=after(9), host=HOST, running=(KEY,)), HostSeen(at=after(1), host=HOST)
    assert fold([late, early]).snapshots[HOST].running == (KEY,)


def test_a_task_that_its_host_lists_is_left_alone() -> None:
    assert compare([snapshot(60, KEY)], [running()]) == Difference()


def test_a_young_task_may_be_missing_for_its_start_is_still_under_way() -> None:
    assert compare([snapshot(5.9)], [running()]) == Difference()


def test_an_old_task_that_its_host_does_not_list_is_missing_before_it_is_lost() -> None:
    assert compare([snapshot(60)], [running()]) == Difference(missing={KEY: after(60)})
    assert compare([snapshot(65.9)], [running(missing_since=after(60))]) == Difference()
    assert compare([snapshot(66)], [running(missing_since=after(60))]) == Difference(lost={KEY: after(66)})


def test_a_task_is_not_given_up_soon_while_events_of_its_host_are_on_their_way() -> None:
    log = running(missing_since=after(60))
    assert compare([snapshot(66)], [log], {HOST}) == Difference()
    assert compare([snapshot(119.9)], [log], {HOST}) == Difference()
    assert compare([snapshot(120)], [log], {HOST}) == Difference(lost={KEY: after(120)})


def test_a_missing_or_doubted_task_that_is_listed_again_is_well() -> None:
    for log in (running(missing_since=after(60)), running(confirmed=False)):
        assert compare([snapshot(66, KEY)], [log]) == Difference(confirmed={KEY: after(66)})


def test_a_listed_run_that_the_record_does_not_have_is_read_from_its_key() -> None:
    [listed] = compare([snapshot(60, KEY, ("t2", "nonsense"))], []).unrecorded
    assert (listed.task_id, listed.run, listed.host, listed.pid, listed.retries) == ("t1", RUN.key, HOST, 100, 0)
    assert listed.started_at == after(0)
