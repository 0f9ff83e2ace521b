"""Tasks of the app."""

import time

from celery import shared_task


@shared_task
def confirm(order: int) -> str:
    """Confirm an order; returns what the customer reads."""
    return f"order {order} is confirmed"


@shared_task
def export_catalogue(seconds: float) -> str:
    """Write the whole catalogue, which takes so many seconds."""
    time.sleep(seconds)
    return "exported"


@shared_task
def daily_report() -> str:
    """Add up the day; django-celery-beat has an entry for it."""
    return "reported"
