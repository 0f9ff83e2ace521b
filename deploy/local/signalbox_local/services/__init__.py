"""Services of a local run: the environment of each, its process, and whether it is ready."""
