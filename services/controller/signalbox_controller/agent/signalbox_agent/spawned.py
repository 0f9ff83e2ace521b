"""Imported by pool children that are spawned and not forked, and so inherit nothing (`worker_pool_start_method`)."""

from signalbox_agent import child

child.install(parent=None)
