"""External workers: launched by others, with our agent in them; shown and cancelled like our own, never stopped."""
