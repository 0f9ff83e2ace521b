"""Online migrations of the record as numbered SQL; see signalbox.postgres.online."""
