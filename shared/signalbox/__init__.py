"""Signalbox for other services: clients that give the same commands as the dashboard, under the same rules."""

from signalbox.client.asynchronous import AsyncClient
from signalbox.client.results import BulkResult, CancelResult, ProcessesResult
from signalbox.client.synchronous import Client
from signalbox.errors import SignalboxError

__all__ = ["AsyncClient", "BulkResult", "CancelResult", "Client", "ProcessesResult", "SignalboxError"]
