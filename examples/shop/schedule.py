"""Schedule of beat: its entries and their periods in seconds."""

from typing import Any

# Their results are never read. Without this, beat would subscribe to each result in the backend, and block during an
# outage of the backend while Celery retries the subscription.
UNREAD: dict[str, Any] = {"ignore_result": True}

SCHEDULE: dict[str, dict[str, Any]] = {
    "customers-order": {
        "task": "shop.orders.receive_orders",
        "schedule": 5.0,
        "kwargs": {"count": 3},
        "options": UNREAD,
    },
    "sales-report": {
        "task": "shop.reports.sales_report",
        "schedule": 30.0,
        # The next one is as good: after a long stop only the newest report runs.
        "options": {**UNREAD, "expires": 30.0},
    },
    "a-card-is-declined": {
        "task": "shop.orders.charge_expired_card",
        "schedule": 40.0,
        "options": UNREAD,
    },
    "the-warehouse-is-slow": {
        "task": "shop.orders.notify_warehouse",
        "schedule": 55.0,
        "options": UNREAD,
    },
    "stock-is-counted": {
        "task": "shop.reports.count_stock",
        "schedule": 60.0,
        "kwargs": {"seconds": 20.0},
        "options": UNREAD,
    },
}
