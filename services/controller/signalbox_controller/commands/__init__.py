"""Commands for this host: read, checked, carried out once, answered."""
