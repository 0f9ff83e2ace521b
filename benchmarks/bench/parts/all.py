"""All parts, in the order of the report."""

from bench.parts import cancel, growth, idle, intake, lists, throughput, viewers

PARTS = (cancel.PART, throughput.PART, intake.PART, lists.PART, viewers.PART, idle.PART, growth.PART)
