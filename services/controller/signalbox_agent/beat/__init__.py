"""The agent in beat: liveness, and the lease of the schedule."""
