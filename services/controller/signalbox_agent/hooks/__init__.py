"""Hooks of the agent in Celery: boot steps, requests, callbacks."""
