"""State on disk that survives a restart of the controller, and the outbox of events."""
