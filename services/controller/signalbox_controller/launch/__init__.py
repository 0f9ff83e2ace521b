"""Launching a process, and the record of what was launched."""
