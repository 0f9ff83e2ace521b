"""The pools of gevent and eventlet: a task is ended with its greenlet."""
