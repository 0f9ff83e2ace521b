"""Spawned pool children import this, as they inherit nothing (`worker_pool_start_method`)."""

import os

from signalbox_agent.child import child

# Not for what their tasks launch.
child.install(parent=None, slots=os.environ.pop(child.SLOTS, ""), cgroup=os.environ.pop(child.CGROUP, ""))
