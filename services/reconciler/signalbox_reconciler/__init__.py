"""The reconciler, the only writer of the record: folds events into PostgreSQL and publishes what changed."""
