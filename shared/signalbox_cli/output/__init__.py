"""The output: tables, ages, outcomes, and a sign while the server works."""
