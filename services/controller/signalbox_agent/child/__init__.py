"""The part of the agent that runs inside the pool's children."""
