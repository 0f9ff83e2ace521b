"""Monitoring of others, set up as its own documentation says: `celery -A tasks worker -I instrumented.NAME`."""
