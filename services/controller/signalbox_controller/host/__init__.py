"""The host itself: its name in the fleet, and its heartbeat."""
