"""OpenTelemetry, set up in each child of the pool, as its spans must not be shared over a fork."""

from typing import Any

from celery.signals import worker_process_init
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider


@worker_process_init.connect(weak=False)
def instrument(**_: Any) -> None:
    """Trace what this child runs."""
    trace.set_tracer_provider(TracerProvider())
    CeleryInstrumentor().instrument()
