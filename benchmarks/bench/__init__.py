"""Benchmarks of Signalbox beside Flower: `make bench`."""
