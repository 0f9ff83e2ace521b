"""Killing a child of the prefork pool."""
