"""All supervised processes of the host, and rolling restarts."""
