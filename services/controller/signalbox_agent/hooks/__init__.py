"""Where the agent hooks into Celery: boot steps, requests, callbacks."""
