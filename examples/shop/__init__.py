"""The shop: an ordinary Celery application, an order pipeline, to try Signalbox on.

Nothing in this package depends on Signalbox. Run it by hand from the folder above with ``celery -A shop
worker`` and ``celery -A shop beat``.
"""

from shop.app import app as celery

__all__ = ["celery"]
