"""Cancelling a task: the ids of cancelled tasks, the proof that a task is dead, the wording of the answer."""
