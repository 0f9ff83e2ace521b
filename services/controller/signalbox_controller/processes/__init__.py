"""Supervision of one process: its state machine, its supervisor, what follows its exit."""
