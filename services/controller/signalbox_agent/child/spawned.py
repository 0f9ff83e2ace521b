"""Spawned pool children import this, as they inherit nothing (`worker_pool_start_method`)."""

import os

from signalbox_agent.child import child
from signalbox_agent.child.bodies import Bodies

_bodies = Bodies()
_bodies.install()
# Not for what their tasks launch.
_slots, _cgroup = os.environ.pop(child.SLOTS, ""), os.environ.pop(child.CGROUP, "")
child.install(parent=None, slots=_slots, cgroup=_cgroup, bodies=_bodies)
