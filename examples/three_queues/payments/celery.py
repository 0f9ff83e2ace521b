"""The Celery application; its settings are in a module of their own."""

from celery import Celery

app = Celery("payments")
app.config_from_object("payments.celeryconfig")
