"""Reports: a long task, and one that fans out over the regions and comes together again."""

from collections.abc import Sequence
from typing import Any

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
    """Add up every region at once, so many seconds each; answers the id of the combining task."""
    parts = [region_sales.s(region, seconds) for region in REGIONS]
    return str(chord(parts)(combine.s()).id)


@app.task
def region_sales(region: str, seconds: float) -> list[Any]:
    """Add up one region; answers its name and turnover."""
    turnover = 0
    for digest in slices(seconds):
        turnover += int(digest[:4], 16)
    return [region, turnover]


@app.task
def combine(parts: Sequence[list[Any]]) -> dict[str, int]:
    """Put the regions together; answers region → turnover."""
    return {region: turnover for region, turnover in parts}


@app.task
def count_stock(seconds: float = 60.0) -> str:
    """Count the whole stock, which takes so many seconds; can be interrupted at any moment."""
    fingerprint = ""
    for done, fingerprint in enumerate(slices(seconds), start=1):
        if done % LOG_EVERY == 0:
            logger.info("counted %d shelves", done)
    return fingerprint
