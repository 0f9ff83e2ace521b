"""Spawned pool children import this, as they inherit nothing (`worker_pool_start_method`)."""

import os

from signalbox_agent.child import child

child.install(parent=None, slots=os.environ.pop(child.SLOTS, ""))  # not for what their tasks launch
