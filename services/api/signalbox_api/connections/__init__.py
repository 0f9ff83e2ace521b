"""Connections: how many there may be of one source and in all, and how long a request may take to arrive."""
