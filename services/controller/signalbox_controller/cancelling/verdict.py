"""Verdict of a host on a task, from the verdicts of its agents: pure."""

from collections.abc import Sequence

from signalbox.messages.verdicts import MEANING, Verdict, worst


def combine(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst that settles the question; an agent that does not answer counts only where none does."""
    settled = [verdict for verdict in verdicts if MEANING[verdict].is_final]
    return worst(settled or verdicts)
