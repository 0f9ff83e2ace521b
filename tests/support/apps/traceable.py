"""A Celery application whose processes let any process of their user trace them, also where Yama is strict."""

import ctypes
import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init

PR_SET_PTRACER, ANY = 0x59616D61, ctypes.c_ulong(-1)

app = Celery("traceable", broker=os.environ.get("SHOP_BROKER_URL"), backend=os.environ.get("SHOP_RESULT_BACKEND"))
app.conf.broker_connection_retry_on_startup = True


@worker_process_init.connect
def allow(**_: Any) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANY, 0, 0, 0)


allow()
