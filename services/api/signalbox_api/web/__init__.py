"""HTTP concerns that are no route: static files, security headers, metrics."""
