"""Stores of a local run, PostgreSQL and Valkey: embedded servers, or external ones."""
