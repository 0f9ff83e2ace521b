"""Log files of the supervised processes."""
