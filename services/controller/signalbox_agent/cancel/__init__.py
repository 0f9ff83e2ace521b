"""Cancelling a task: the decision, and one folder for each kind of pool that can do it."""
