"""What a host says of a cancelled task, from what each of its workers says."""

from collections.abc import Sequence

import pytest

from signalbox.messages.receipts import Verdict
from signalbox_controller.agents.cancel_request import CancelResult
from signalbox_controller.cancelling.verdict import combine


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        ([], "unknown"),
        (["unknown", "unknown"], "unknown"),
        (["unknown", "dead"], "cancelled"),
        (["unknown", "dropped"], "dropped"),
        (["unknown", "finished"], "finished"),
        (["unsupported", "unknown"], "unsupported"),
        (["alive"], "alive"),
        # A worker that says nothing may be the one that runs it …
        (["unknown", "silent"], "unproven"),
        (["silent"], "unproven"),
        # … unless another one has settled the question.
        (["dead", "silent"], "cancelled"),
        (["dropped", "silent"], "dropped"),
        (["finished", "silent"], "finished"),
        # Delivered twice: the worse news is the true one.
        (["dead", "alive"], "alive"),
        (["dead", "unsupported"], "unsupported"),
        (["finished", "dead"], "cancelled"),
        (["dropped", "dead"], "cancelled"),
    ],
)
def test_the_gravest_finding_is_the_hosts_verdict(results: Sequence[CancelResult], verdict: Verdict) -> None:
    assert combine(results) == verdict
    assert combine(list(reversed(results))) == verdict
