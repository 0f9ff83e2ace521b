"""Workers that somebody else launched, with our agent in them: seen and cancelled like our own, never stopped by us."""
