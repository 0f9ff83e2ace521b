"""Errors of a benchmark.

BenchmarkError
└── NotReached
"""


class BenchmarkError(Exception):
    """A part cannot go on; the text says why."""


class NotReached(BenchmarkError):
    """What a part waits for did not come in time."""
