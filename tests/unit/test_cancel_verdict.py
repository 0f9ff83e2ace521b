"""The verdict on a cancelled task: of one worker from the evidence, and of a host from its workers."""

from collections.abc import Sequence

import pytest

from signalbox.messages.verdicts import Verdict
from signalbox_agent.proc import Proc
from signalbox_controller.cancelling.proof import Proof, verdict_of, verdict_of_host

NOTHING_LEFT = Proof([], [])
ALL_ENDED = Proof([Proc(4711, 1)], [])
ONE_SURVIVED = Proof([], [Proc(4711, 1)])
#: The kernel says so, and lists nothing.
SOMETHING_SURVIVED = Proof([], [], "cgroup", populated=True)


@pytest.mark.parametrize(
    ("reported", "proof", "ran", "cancels_one", "verdict"),
    [
        # The report alone proves nothing, and the search has the last word.
        ("cancelled", None, True, True, "unproven"),
        ("cancelled", NOTHING_LEFT, True, True, "cancelled"),
        ("cancelled", ALL_ENDED, True, True, "cancelled"),
        ("cancelled", ONE_SURVIVED, True, True, "alive"),
        ("cancelled", SOMETHING_SURVIVED, True, True, "alive"),
        # The task of a worker that died with it, in a pool that cannot end a single one.
        ("cancelled", NOTHING_LEFT, True, False, "cancelled"),
        # No report in time: a pool that cannot end one task is named, unless the task may be elsewhere.
        (None, None, True, True, "unproven"),
        (None, None, False, True, "unproven"),
        (None, None, False, False, "unproven"),
        (None, None, True, False, "unsupported"),
        # Whatever else is reported claims no death, and needs no search.
        ("finished", None, True, True, "finished"),
        ("dropped", None, False, True, "dropped"),
        ("unknown", None, False, True, "unknown"),
        ("unsupported", None, True, False, "unsupported"),
        ("alive", None, True, True, "alive"),
    ],
)
def test_a_task_is_cancelled_only_when_nothing_of_it_is_left(
    reported: Verdict | None, proof: Proof | None, ran: bool, cancels_one: bool, verdict: Verdict
) -> None:
    assert verdict_of(reported, proof, ran=ran, cancels_one=cancels_one) == verdict


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        ([], "unknown"),
        (["unknown", "unknown"], "unknown"),
        (["unknown", "cancelled"], "cancelled"),
        (["unknown", "dropped"], "dropped"),
        (["unknown", "finished"], "finished"),
        (["unsupported", "unknown"], "unsupported"),
        (["alive"], "alive"),
        # A worker that says nothing may be the one that runs it …
        (["unknown", "unproven"], "unproven"),
        (["unproven"], "unproven"),
        # … unless another one has settled the question.
        (["cancelled", "unproven"], "cancelled"),
        (["dropped", "unproven"], "dropped"),
        (["finished", "unproven"], "finished"),
        # Delivered twice: the worse news is the true one.
        (["cancelled", "alive"], "alive"),
        (["cancelled", "unsupported"], "unsupported"),
        (["finished", "cancelled"], "cancelled"),
        (["dropped", "cancelled"], "cancelled"),
    ],
)
def test_the_gravest_finding_is_the_hosts_verdict(results: Sequence[Verdict], verdict: Verdict) -> None:
    assert verdict_of_host(results) == verdict
    assert verdict_of_host(list(reversed(results))) == verdict


@pytest.mark.parametrize(
    ("results", "holders", "verdict"),
    [
        # A worker that was known to have the task may run it, whatever another one has settled for itself.
        (["cancelled", "unproven"], ["cancelled", "unproven"], "unproven"),
        (["finished", "unproven"], ["unproven"], "unproven"),
        (["cancelled", "unproven"], ["cancelled"], "cancelled"),
        (["alive", "unproven"], ["alive", "unproven"], "alive"),
        (["finished", "cancelled"], ["finished", "cancelled"], "cancelled"),
    ],
)
def test_a_worker_that_was_known_to_have_the_task_must_answer(
    results: Sequence[Verdict], holders: Sequence[Verdict], verdict: Verdict
) -> None:
    assert verdict_of_host(results, holders) == verdict
