"""Parts of a run: each measures one subject, on stores of its own."""
