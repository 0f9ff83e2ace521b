"""docs/install.md, walked with the projects of `examples/`: from wheels to a cancel, a stop and a start."""
