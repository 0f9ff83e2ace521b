"""Sentry's SDK, which wraps the tracer of each task; what it reports goes nowhere."""

import sentry_sdk
from sentry_sdk.integrations.celery import CeleryIntegration

#: The discard service of the loopback, where nobody listens.
NOWHERE = "http://key@127.0.0.1:9/1"

sentry_sdk.init(NOWHERE, integrations=[CeleryIntegration()], traces_sample_rate=1.0, shutdown_timeout=0)
