"""Verdict of a host on a task, from the results of its agents: pure."""

from collections.abc import Sequence

from signalbox.client.conclusion import GRAVITY
from signalbox.messages.receipts import Verdict
from signalbox_controller.agents.cancel_request import CancelResult

#: The gravest comes first: a task that is dead in one worker and alive in another is alive.
#: `silent` stands behind whatever settles the question elsewhere, and before what does not.
_GRAVITY: tuple[tuple[CancelResult, Verdict], ...] = (
    ("alive", "alive"),
    ("unsupported", "unsupported"),
    ("dead", "cancelled"),
    ("dropped", "dropped"),
    ("finished", "finished"),
    ("silent", "unproven"),
    ("unknown", "unknown"),
)

#: Findings after which the other agents are waited for only a little longer.
DECISIVE: frozenset[CancelResult] = frozenset({"alive", "unsupported", "dead", "dropped", "finished"})


def combine(results: Sequence[CancelResult]) -> Verdict:
    """The verdict of the host; one without any agent does not know the task."""
    return next((verdict for result, verdict in _GRAVITY if result in results), "unknown")


def gravest(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of the host on many tasks; where none of them is here, it does not know them."""
    return max(verdicts, key=GRAVITY.index, default="unknown")
