"""Tasks of this worker, and their events."""
