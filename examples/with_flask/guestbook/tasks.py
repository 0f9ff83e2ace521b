"""Tasks of the guestbook."""

import time

from celery import shared_task
from flask import current_app


@shared_task
def thank(guest: str) -> str:
    """Thank a guest, in the words that the settings of Flask have."""
    return f"{current_app.config['GREETING']}, {guest}"


@shared_task
def send_newsletter(seconds: float) -> str:
    """Write to all guests, which takes so many seconds."""
    time.sleep(seconds)
    return "sent"


@shared_task
def daily_report() -> str:
    """Count the guests of the day; beat has an entry for it."""
    return "counted"
