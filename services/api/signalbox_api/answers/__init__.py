"""Answers of the api and their sentences, one file for each kind of command; bodies of requests."""
