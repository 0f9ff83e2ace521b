"""Authentication and roles: users, sessions, tokens."""
