"""Datadog's tracer, which patches Celery's classes as it is imported; its spans are sent to nobody."""

import os

os.environ["DD_TRACE_AGENT_URL"] = "http://127.0.0.1:9"
os.environ["DD_INSTRUMENTATION_TELEMETRY_ENABLED"] = "false"
os.environ["DD_REMOTE_CONFIGURATION_ENABLED"] = "false"

import ddtrace.auto  # noqa: F401
