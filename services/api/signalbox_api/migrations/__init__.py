"""The tables that belong to the api: users, sessions and API tokens. All else is only read."""
