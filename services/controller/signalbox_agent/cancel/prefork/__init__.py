"""The prefork pool: a task is ended with the process that runs it."""
