"""The host: its controller, asked through its own socket for `--local`."""
