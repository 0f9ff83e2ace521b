"""Processes as Linux shows them: `/proc`, process trees, signals, exit statuses, the out-of-memory killer."""
