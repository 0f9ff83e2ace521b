"""Orders: what happens to them behind the scenes."""
