"""The caller's side of the bus."""
