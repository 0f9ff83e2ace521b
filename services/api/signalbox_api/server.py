"""Server: uvicorn with our limits."""

import logging
import resource
from functools import partial
from ipaddress import ip_address
from typing import Any, cast

import uvicorn
from fastapi import FastAPI

from signalbox.settings import Settings
from signalbox_api.connections.protocol import LimitedProtocol, LimitedWebSocket
from signalbox_api.connections.shares import Shares

log = logging.getLogger(__name__)

#: Seconds for requests under way at a stop.
SHUTDOWN_WAIT = 5
#: Bytes of one message that a browser may send: a subscription.
MESSAGE = 64 * 1024
#: Open files besides the connections: Redis, PostgreSQL, the listener.
OTHER_FILES = 500


def config_of(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves the application."""
    shares: Shares = app.state.shares
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=cast("Any", partial(LimitedProtocol, shares=shares)),
        ws=LimitedWebSocket,
        lifespan="on",
        log_config=None,
        access_log=settings.log_level.lower() == "debug",
        server_header=False,
        proxy_headers=False,  # ours are read in web/forwarded.py, from named proxies only
        timeout_graceful_shutdown=SHUTDOWN_WAIT,
        ws_max_size=MESSAGE,
        ws_per_message_deflate=False,
    )


def shares_of(settings: Settings) -> Shares:
    """The shares that the settings give to all, and to one address."""

    def is_proxy(source: str) -> bool:
        try:
            address = ip_address(source.partition("/")[0])
        except ValueError:
            return not source  # a Unix socket, which only a proxy of this machine would use
        return any(address in network for network in settings.trusted_proxies)

    return Shares(settings.connections, settings.connections_per_address, is_proxy)


def allow_files(connections: int) -> None:
    """Raise the limit of open files to what so many connections need; where it cannot be raised, say so."""
    needed = connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        if allowed < needed:
            log.warning(
                "%d connections need %d open files, and this process may have %d; raise LimitNOFILE, or lower"
                " SIGNALBOX_CONNECTIONS",
                *(connections, needed, allowed),
            )
