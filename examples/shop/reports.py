"""Reports: a long task, and a chord over the regions."""

from collections.abc import Sequence

from celery import chord
from celery.utils.log import get_task_logger

from shop.app import app
from shop.catalogue import REGIONS
from shop.effort import slices

logger = get_task_logger(__name__)

#: Slices between two lines in the log: about five seconds.
LOG_EVERY = 50


@app.task
def sales_report(seconds: float = 0.5) -> str:
    """Add up every region at once, so many seconds each; returns the id of the combining task."""
    parts = [region_sales.s(region, seconds) for region in REGIONS]
    return str(chord(parts)(combine.s()).id)


@app.task
def region_sales(region: str, seconds: float) -> tuple[str, int]:
    """Add up one region; returns its name and turnover."""
    turnover = 0
    for digest in slices(seconds):
        turnover += int(digest[:4], 16)
    return region, turnover


@app.task
def combine(parts: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Put the regions together; returns region → turnover."""
    return dict(parts)


@app.task
def count_stock(seconds: float = 60.0) -> int:
    """Count the stock, which takes so many seconds; can be interrupted at any moment. Returns the number of shelves."""
    shelves = 0
    for shelves, _ in enumerate(slices(seconds), start=1):
        if shelves % LOG_EVERY == 0:
            logger.info("counted %d shelves", shelves)
    return shelves
