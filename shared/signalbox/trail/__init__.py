"""Trail: who did what, line by line, chained by hashes; see docs/audit.md."""
