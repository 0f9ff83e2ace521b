"""Partitions of tasks and their logs: how they are made, indexed and dropped, and a record from before has them."""
