"""The api: its address, and requests to it."""
