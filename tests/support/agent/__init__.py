"""What the tests of the agent need: the other end of its socket, and real workers with it inside."""
