"""The command line: what the dashboard can do, for terminals and scripts; it speaks HTTP with the api only."""
