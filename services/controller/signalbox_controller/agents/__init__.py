"""The agents inside the workers: a Unix socket, one connection for each launched process."""
