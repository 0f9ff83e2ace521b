"""The api: where it is, and requests to it."""
