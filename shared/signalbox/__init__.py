"""Signalbox for other services: give the same commands as the dashboard, held to the same rules."""

from signalbox.client.asynchronous import AsyncClient
from signalbox.client.results import CancelResult, ProcessesResult
from signalbox.client.synchronous import Client
from signalbox.errors import SignalboxError

__all__ = ["AsyncClient", "CancelResult", "Client", "ProcessesResult", "SignalboxError"]
