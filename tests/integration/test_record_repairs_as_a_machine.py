"""However much is lost on the way: after some heartbeats nothing is shown as running that does not run, or as seen."""

from collections.abc import Iterator

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from signalbox_reconciler.fold.snapshots import MISSED_HEARTBEATS
from support.examples import LONG, examples, expect_no_fault
from support.fleet import HEARTBEAT, HOSTS
from support.record import Record, a_record
from support.task_machine import TaskMachine


@pytest.fixture
def record(database_url: str) -> Iterator[Record]:
    with a_record(database_url) as record:
        yield record


class Repairing(TaskMachine):
    def __init__(self, record: Record) -> None:
        record.empty()
        super().__init__(record)

    @rule(host=st.sampled_from(sorted(HOSTS)))
    def a_host_is_seen(self, host: str) -> None:
        self.untold.append(self.fleet.seen(host))

    @rule()
    def all_that_is_under_way_is_lost_and_some_heartbeats_come(self) -> None:
        self.lost = self.lost or bool(self.untold)
        self.untold.clear()
        for _ in range(3):
            self.fleet.wait((MISSED_HEARTBEATS + 1) * HEARTBEAT)
            for host in HOSTS:
                self.record.write([self.fleet.seen(host)])
        attempts, latest = self.fleet.attempts(), self.fleet.latest()
        for key, log in self.record.logs().items():
            assert log.confirmed or attempts[key].over or latest[key[0]] is not attempts[key]
            assert log.status != "running" or attempts[key].runs
        for task_id, task in self.record.tasks().items():
            assert task.status != "running" or attempts[task_id, task.run].runs
            assert not latest[task_id].runs or (task.run, task.status) == (latest[task_id].key, "running")

    def check(self) -> None:
        self._what_is_confirmed_is_true()


@pytest.mark.timeout(LONG)
def test_whatever_is_lost_some_heartbeats_later_nothing_is_shown_that_is_not_so(record: Record) -> None:
    expect_no_fault(lambda: Repairing(record), examples(60))
