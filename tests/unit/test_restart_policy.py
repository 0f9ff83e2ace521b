"""Whether a process that exited is started again, and after how long."""

import pytest

from signalbox_controller.config.specs import RestartPolicy
from signalbox_controller.processes.backoff import Backoff, Failures
from signalbox_controller.processes.exit_reason import ExitReport, judge
from signalbox_controller.processes.machine import Input

BACKOFF = Backoff(first=1.0, most=10.0, quiet=60.0)


def longest(_least: float, most: float) -> float:
    return most


def an_exit(
    *, relaunch: bool = True, asked: bool = False, code: int | None = 1, ran: float = 0.0, outside: bool = False
) -> ExitReport:
    return ExitReport(
        how="it ended", relaunch=relaunch, asked=asked, code=code, ran=ran, fault="unready" if outside else None
    )


@pytest.mark.parametrize(
    ("exit_", "policy", "event"),
    [
        (an_exit(relaunch=False, asked=True, code=0), "always", Input.EXITED),
        (an_exit(relaunch=False), "always", Input.EXITED),
        (an_exit(asked=True, code=-9), "never", Input.EXITED_TO_RESTART),
        (an_exit(code=1), "on-failure", Input.EXITED_TO_RETRY),
        (an_exit(code=-9), "on-failure", Input.EXITED_TO_RETRY),
        (an_exit(code=None), "on-failure", Input.EXITED_TO_RETRY),
        (an_exit(code=0), "on-failure", Input.EXITED_FOR_GOOD),
        (an_exit(code=0), "always", Input.EXITED_TO_RETRY),
        (an_exit(code=1), "never", Input.EXITED_FOR_GOOD),
        (an_exit(outside=True), "on-failure", Input.EXITED_TO_WAIT),
        (an_exit(outside=True, code=0), "on-failure", Input.EXITED_TO_WAIT),
        (an_exit(outside=True), "never", Input.EXITED_FOR_GOOD),
        (an_exit(outside=True, relaunch=False), "always", Input.EXITED),
    ],
)
def test_an_exit_is_judged_by_what_was_asked_and_by_the_policy(
    exit_: ExitReport, policy: RestartPolicy, event: Input
) -> None:
    assert judge(exit_, policy, Failures(BACKOFF, 4)) is event


def test_a_process_that_flaps_is_given_up_after_growing_pauses() -> None:
    failures, pauses = Failures(BACKOFF, 4, jitter=longest), []
    while judge(an_exit(), "on-failure", failures) is Input.EXITED_TO_RETRY:
        pauses.append(failures.pause())
    assert pauses == [1.0, 2.0, 4.0]


def test_what_lies_outside_is_waited_for_without_end_and_is_no_strike() -> None:
    failures, pauses = Failures(Backoff(first=1.0, outside=5.0), 4, jitter=longest), []
    for _ in range(20):
        assert judge(an_exit(outside=True), "on-failure", failures) is Input.EXITED_TO_WAIT
        pauses.append(failures.pause())
    assert pauses[:5] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert failures.count == 0


def test_pauses_have_a_most() -> None:
    failures = Failures(Backoff(first=1.0, most=5.0), 100, jitter=longest)
    for _ in range(10):
        failures.add(0.0)
    assert failures.pause() == 5.0


def test_pauses_differ_so_that_siblings_do_not_come_back_in_step() -> None:
    failures = Failures(BACKOFF, 4)
    failures.add(0.0)
    pauses = {failures.pause() for _ in range(20)}
    assert len(pauses) > 1
    assert all(0.5 <= pause <= 1.0 for pause in pauses)


def test_a_quiet_time_makes_good_for_earlier_failures() -> None:
    failures = Failures(BACKOFF, 4)
    for _ in range(3):
        failures.add(0.0)
    assert judge(an_exit(ran=61.0), "on-failure", failures) is Input.EXITED_TO_RETRY
    assert failures.count == 1
