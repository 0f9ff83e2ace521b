"""The record in PostgreSQL: queries, and what is shown of it."""
