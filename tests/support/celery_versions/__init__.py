"""Whether the agent works with a version of Celery, and with one that has renamed what the agent uses."""
