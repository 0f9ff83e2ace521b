"""Services of the application, for the routes; built in `app`."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends
from redis.asyncio import Redis
from starlette.requests import HTTPConnection

from signalbox.client.commander import Commander
from signalbox_api.auth.directory import Directory
from signalbox_api.auth.passwords import Passwords
from signalbox_api.auth.throttle import Throttle
from signalbox_api.auth.trail import Trail
from signalbox_api.connections.callers import Callers
from signalbox_api.connections.shares import Shares
from signalbox_api.live.beats import Beats
from signalbox_api.live.hub import Hub
from signalbox_api.live.tail import Tail
from signalbox_api.record.database import QueryPool, SearchPool
from signalbox_api.record.fleet import FleetReader
from signalbox_api.record.probes import Probes
from signalbox_api.record.task_filter import TaskFilter, is_search
from signalbox_api.web.metrics import Metrics
from signalbox_api.web.static import File


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Services that live as long as the application."""

    #: Redis for short queries: credentials, presence.
    redis: Redis
    commander: Commander
    #: The record, read only, for the newest tasks of one kind.
    newest: QueryPool
    #: The record, read only, for what can take long.
    searches: SearchPool
    #: The record, read only, for all else that people look at.
    record: QueryPool
    #: The record, read only, for the task of a cancel.
    urgent: QueryPool
    #: The tables of users, sessions and tokens.
    accounts: QueryPool
    #: Hosts and processes.
    fleet: FleetReader
    #: Who vouches for the record.
    probes: Probes
    directory: Directory
    passwords: Passwords
    throttle: Throttle
    #: Lines of the trail that belong to no transaction.
    trail: Trail
    tail: Tail
    beats: Beats
    hub: Hub
    metrics: Metrics
    #: Connections of this process.
    shares: Shares
    #: Live connections by who holds them.
    callers: Callers
    #: Seconds after its cancel for which a task is refused.
    refused_for: float
    #: The path below which a proxy serves all this; empty: none.
    root_path: str
    #: Files by their path: the dashboard, and the reference at /docs.
    dashboard: dict[str, File]
    reference: dict[str, File]

    def lists(self, filters: TaskFilter) -> QueryPool:
        """The pool for a list of tasks."""
        return self.searches if is_search(filters) else self.newest


async def services_of(connection: HTTPConnection) -> Services:
    """The services of the application that handles this request."""
    return cast("Services", connection.app.state.services)


Wired = Annotated[Services, Depends(services_of)]
