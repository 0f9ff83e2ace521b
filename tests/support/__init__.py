"""What the tests share: real stores, a whole Signalbox, and waiting with a deadline."""
