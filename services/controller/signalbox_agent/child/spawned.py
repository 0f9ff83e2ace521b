"""Imported by pool children that are spawned and not forked, and so inherit nothing (`worker_pool_start_method`)."""

import os

from signalbox_agent.child import child

child.install(parent=None, slots=os.environ.pop(child.SLOTS, ""))  # not for what their tasks launch
