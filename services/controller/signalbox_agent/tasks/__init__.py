"""The tasks that this worker holds, and the events that tell of them."""
