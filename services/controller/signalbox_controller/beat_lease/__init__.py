"""One beat per application in the whole fleet: who may run it, and what it may still send."""
