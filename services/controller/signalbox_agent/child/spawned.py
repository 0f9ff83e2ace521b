"""Spawned pool children import this, as they inherit nothing (`worker_pool_start_method`)."""

import os

from signalbox_agent.child import child
from signalbox_agent.child.bodies import Bodies

_bodies = Bodies()
_bodies.install()
child.install(parent=None, slots=os.environ.pop(child.SLOTS, ""), bodies=_bodies)  # not for what their tasks launch
