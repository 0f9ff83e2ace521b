"""The host: its controller, through its own socket, for `--local`."""
