"""Monitoring of others, set up as its own documentation says: `celery -A tasks worker -I instrumented.NAME`.

Its packages are in a folder of their own, `MONITORING`, so that no other process imports them.
"""
