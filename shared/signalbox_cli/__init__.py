"""Command line of Signalbox: a client of the api, and of the host's own socket."""
