"""The matrix of cancels: every state, every pool, every kind of stubbornness, on both brokers, each tried for real."""
