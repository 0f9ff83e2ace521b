"""Workers without an agent: a process in the application's environment watches them, and we look after that process."""
