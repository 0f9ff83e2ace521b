"""Processes of a local run: each is started, watched, stopped, and ended when a run was killed."""
