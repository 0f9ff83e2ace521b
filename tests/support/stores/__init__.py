"""Real PostgreSQL and Redis: those of the environment, else of Docker, else embedded ones."""
