"""Publisher of the messages as JSON Schema and AsyncAPI, generated from their types."""
