"""Loads that the systems are measured under."""
