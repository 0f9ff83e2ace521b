"""Tasks, one kind a queue."""

import time

from celery import shared_task


@shared_task
def charge(amount: int) -> str:
    """Charge a card; goes to the default queue."""
    return f"charged {amount}"


@shared_task
def refund(amount: int) -> str:
    """Give money back; goes to the urgent ones."""
    return f"refunded {amount}"


@shared_task
def yearly_report(seconds: float) -> str:
    """Add up the year, which takes so many seconds; goes to the reports."""
    time.sleep(seconds)
    return "added up"


@shared_task
def daily_report() -> str:
    """Add up the day; beat has an entry for it."""
    return "added up"
