"""Answers that decide nothing are spread where many hosts give them; no other answer waits."""

from typing import Any

import pytest

from signalbox.messages.commands import AllowTask, CancelTask, CancelTasks, Command, StopProcesses
from signalbox.messages.receipts import TaskVerdict
from signalbox_controller.commands.ports import Result
from signalbox_controller.commands.spread import FEW, FIRST, MOST, delay_of, delays
from support.history import Life, after

HEADING: dict[str, Any] = {"command_id": "c1", "issued_by": "alice", "issued_at": after(1), "expires_at": after(60)}
CANCEL = CancelTask(**HEADING, task_id="t1")
CANCELS = CancelTasks(**HEADING, task_ids=("t1",))


@pytest.mark.parametrize(("hosts", "spread"), [(FEW + 100, 0.012), (1_000, 0.1), (10**6, MOST)])
def test_the_more_hosts_answer_the_longer_it_may_take(hosts: int, spread: float) -> None:
    assert delays(hosts) == pytest.approx((FIRST, FIRST + spread))


@pytest.mark.parametrize("hosts", [0, 1, FEW])
def test_few_hosts_answer_at_once(hosts: int) -> None:
    assert delays(hosts) == (0.0, 0.0)


@pytest.mark.parametrize("command", [CANCEL, CANCELS])
def test_the_answers_of_hosts_that_know_nothing_are_spread(command: Command) -> None:
    chosen = [delay_of(command, Result(verdict="unknown"), 1_000) for _ in range(200)]
    shortest, longest = delays(1_000)
    assert len(set(chosen)) == 200
    assert all(shortest <= delay <= longest for delay in chosen)


@pytest.mark.parametrize(
    ("command", "result"),
    [
        (CANCEL, Result(verdict="cancelled")),
        (CANCEL, Result(verdict="dropped")),
        (CANCEL, Result(verdict="finished")),
        (CANCEL, Result(verdict="unproven")),
        (CANCEL, Result(verdict="unknown", events=(Life().dropped(1),))),
        (CANCELS, Result(verdict="unknown", tasks=(TaskVerdict(task_id="t1", verdict="cancelled"),))),
        (AllowTask(**HEADING, task_id="t1"), Result(verdict="unknown")),
        (StopProcesses(**HEADING), Result(verdict="unknown")),
    ],
)
def test_no_other_answer_waits(command: Command, result: Result) -> None:
    assert {delay_of(command, result, 1_000) for _ in range(20)} == {0.0}
