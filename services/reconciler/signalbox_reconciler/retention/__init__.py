"""Retention: finished tasks and commands are kept as long as the settings say, and removed whole periods at a time."""
