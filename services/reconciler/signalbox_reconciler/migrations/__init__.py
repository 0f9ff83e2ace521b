"""The record's tables as numbered SQL; see signalbox.postgres.migrate."""
