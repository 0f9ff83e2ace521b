"""All parts, in the order of the report; the one that takes longest comes last, as the run has a limit."""

from bench.parts import cancel, churn, growth, idle, intake, lists, throughput, viewers

PARTS = (cancel.PART, throughput.PART, intake.PART, viewers.PART, idle.PART, churn.PART, growth.PART, lists.PART)
