"""Takes from Celery's prefork pool its look every 5 s at which children have died; `celery worker -I no_pool_timer`.

A child is then replaced only by what reacts to its death.
"""

from celery.concurrency.asynpool import AsynPool

AsynPool.timers = property(lambda _: {})
