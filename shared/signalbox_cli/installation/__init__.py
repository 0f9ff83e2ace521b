"""Installation of Signalbox on this machine: its settings, and its parts."""
