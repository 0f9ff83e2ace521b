"""Live changes: from the stream of the record to the browsers."""
