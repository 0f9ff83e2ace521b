"""Changes of the record on their way into browsers."""
