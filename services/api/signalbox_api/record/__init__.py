"""Reading the record in PostgreSQL."""
