"""Tasks of the package."""

import time

from .celery import app


@app.task
def shrink(width: int, height: int) -> list[int]:
    """Make a picture half as large; returns its new size."""
    return [width // 2, height // 2]


@app.task
def shrink_album(seconds: float) -> str:
    """Make all pictures of an album smaller, which takes so many seconds."""
    time.sleep(seconds)
    return "shrunk"


@app.task
def tidy_up() -> str:
    """Remove what nobody looks at; beat has an entry for it."""
    return "tidy"
