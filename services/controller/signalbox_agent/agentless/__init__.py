"""Watch of workers without an agent: a process that uses Celery's own events and remote control."""
