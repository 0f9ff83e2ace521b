"""Launching a process, and the record of all launches."""
