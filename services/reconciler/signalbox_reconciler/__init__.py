"""The only writer of the record: it folds what happened into PostgreSQL and tells what changed."""
