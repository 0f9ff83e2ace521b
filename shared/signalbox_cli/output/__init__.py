"""The output: tables, ages, outcomes, and a spinner while the server works."""
