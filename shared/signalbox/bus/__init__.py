"""The bus: Redis Streams, read by groups, acknowledged after the effect."""
