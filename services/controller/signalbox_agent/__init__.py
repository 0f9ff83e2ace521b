"""The agent of Signalbox: lives inside a Celery worker or beat, tells its controller what happens, carries out cancels.

It runs in the user's own environment, so it imports nothing but the standard library and Celery, and
keeps to Python 3.10. Its first rule: whatever happens to it or to the controller, no task notices.
"""

#: The version of what agent and controller say to each other.
PROTOCOL = 1
