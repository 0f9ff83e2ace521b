"""The order pipeline: reserve every article at once, charge, ship, ask for a review later.

Most tasks take a tenth of a second, which stands for the answer time of another system.
"""

import time
import uuid
from typing import Any

from celery import chord
from celery.utils.log import get_task_logger

from shop.app import app
from shop.catalogue import PRICES, lines_of
from shop.errors import CardDeclinedError, WarehouseBusyError

logger = get_task_logger(__name__)

#: Seconds that another system takes to answer.
ANSWER_TIME = 0.1
#: Seconds after the parcel left until the customer is asked for a review.
REVIEW_AFTER = 20.0
#: The warehouse answers at this attempt, counted from 0.
WAREHOUSE_ANSWERS_AT = 2


@app.task
def receive_orders(count: int = 3) -> list[str]:
    """Let so many customers order something; returns the order numbers."""
    numbers = [uuid.uuid4().hex[:8] for _ in range(count)]
    for number in numbers:
        place_order.delay(number)
    return numbers


@app.task
def place_order(number: str) -> str:
    """Start the pipeline of one order: a chord; returns the id of its last task, the shipping."""
    reservations = [reserve.s(number, article, count) for article, count in lines_of(number)]
    workflow = chord(reservations, charge.s(number)) | ship.s(number)
    shipping = workflow.apply_async()
    logger.info("order %s: %d articles to reserve", number, len(reservations))
    return str(shipping.id)


@app.task
def reserve(number: str, article: str, count: int) -> int:
    """Take the articles off the shelf; returns their price in cents."""
    time.sleep(ANSWER_TIME)
    logger.info("order %s: reserved %d × %s", number, count, article)
    return PRICES[article] * count


@app.task
def charge(prices: list[int], number: str) -> int:
    """Charge the sum once everything is reserved; returns it in cents."""
    time.sleep(ANSWER_TIME)
    total = sum(prices)
    logger.info("order %s: charged %.2f", number, total / 100)
    return total


@app.task
def ship(total: int, number: str) -> dict[str, Any]:
    """Hand the parcel over, and ask for a review later."""
    time.sleep(ANSWER_TIME)
    ask_for_review.apply_async((number,), countdown=REVIEW_AFTER)
    return {"order": number, "total": total}


@app.task
def ask_for_review(number: str) -> str:
    """Write to the customer; sent with a countdown, so it waits in a worker until then."""
    logger.info("order %s: asked for a review", number)
    return number


@app.task(throws=(CardDeclinedError,))
def charge_expired_card(number: str = "0badcard") -> None:
    """Fail: the card is no longer valid."""
    time.sleep(ANSWER_TIME)
    raise CardDeclinedError(f"order {number}: the card expired; ask the customer for another one")


@app.task(bind=True, max_retries=3)
def notify_warehouse(self: Any, number: str = "5107cafe") -> int:
    """Fail twice and succeed at the third attempt; returns how many retries it took."""
    time.sleep(ANSWER_TIME)
    attempt: int = self.request.retries
    if attempt < WAREHOUSE_ANSWERS_AT:
        busy = WarehouseBusyError(f"order {number}: no answer from the warehouse")
        raise self.retry(exc=busy, countdown=1.0 + attempt)
    return attempt
