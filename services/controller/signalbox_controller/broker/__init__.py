"""Redelivery of the messages that a dead worker held, and its events that are not published yet."""
