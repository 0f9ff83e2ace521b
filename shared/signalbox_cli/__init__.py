"""The command line: the dashboard for terminals and scripts; a client of the api, and of the host's socket."""
