"""The client: gives commands, and collects their receipts."""
