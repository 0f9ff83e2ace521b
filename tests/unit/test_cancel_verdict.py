"""What a host says of a cancelled task, from what each of its workers says."""

from collections.abc import Sequence

import pytest

from signalbox.messages.verdicts import Verdict
from signalbox_controller.cancelling.verdict import combine


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
    assert combine(results) == verdict
    assert combine(list(reversed(results))) == verdict
