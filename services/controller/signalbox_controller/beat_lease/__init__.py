"""The lease of beat: one beat of each application in the whole fleet, and what it may still send."""
