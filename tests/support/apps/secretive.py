"""A Celery application whose tasks handle a secret, and put it wherever a task can put text."""

import os

from celery import Celery, Task
from celery.utils.log import get_task_logger

app = Celery("secretive", broker=os.environ["SHOP_BROKER_URL"])
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True)
logger = get_task_logger(__name__)


@app.task(name="pays")
def pays(user: str, password: str) -> str:
    """Answer and log what was given."""
    logger.warning("log of %s, password=%s", user, password)
    print(f"print of {user}, password={password}")  # noqa: T201
    return f"result of {user}, password={password}"


@app.task(name="fails")
def fails(user: str, password: str) -> None:
    """Raise what was given."""
    raise ValueError(f"error of {user}, password={password}")


@app.task(name="tries_again", bind=True, max_retries=1)
def tries_again(self: Task, user: str, password: str) -> None:
    """Raise it, and try again at once."""
    raise self.retry(exc=ValueError(f"error of {user}, password={password}"), countdown=0)
