"""Indexes of the record as numbered SQL, made online; see signalbox.postgres.online."""
