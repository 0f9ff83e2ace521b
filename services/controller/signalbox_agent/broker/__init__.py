"""Messages that this worker has taken from its broker and not acknowledged."""
