"""PostgreSQL for the services that use it: a bounded pool, and plain numbered migrations."""
