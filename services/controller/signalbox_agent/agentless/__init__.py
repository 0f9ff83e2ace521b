"""A process that watches workers without an agent through Celery's own events and remote control."""
