"""What a dead worker held: its unacknowledged messages, and its unpublished events."""
