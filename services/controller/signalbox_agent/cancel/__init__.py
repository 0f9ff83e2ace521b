"""The cancel of a task: the decision, and one folder for each kind of pool that can end it."""
