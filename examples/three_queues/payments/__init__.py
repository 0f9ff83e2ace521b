"""Payments, in three queues: what is urgent does not wait for what takes long."""
