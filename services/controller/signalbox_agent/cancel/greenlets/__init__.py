"""Killing a greenlet of the gevent and eventlet pools."""
