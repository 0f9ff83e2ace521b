"""Cancelling a task: the ids that must never run, the proof that a task is dead, the wording of the answer."""
