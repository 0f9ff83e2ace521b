"""App: the composition root, which opens every connection and builds the services on them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

from fastapi import FastAPI

from signalbox.bus.connection import connect
from signalbox.client.commander import Commander
from signalbox.errors import DatabaseUnavailable, SettingsError
from signalbox.postgres.address import usable
from signalbox.postgres.pool import PLANNED_ONCE, Database, open_database
from signalbox.service import background
from signalbox.settings import Settings
from signalbox_api.auth.directory import Directory
from signalbox_api.auth.mirror import Mirror
from signalbox_api.auth.passwords import Passwords
from signalbox_api.auth.tables import Tables
from signalbox_api.auth.throttle import Throttle
from signalbox_api.auth.trail import Trail
from signalbox_api.connections.callers import Callers
from signalbox_api.live.beats import Beats
from signalbox_api.live.hub import Hub
from signalbox_api.live.tail import Tail
from signalbox_api.record import search
from signalbox_api.record.database import DatabaseHealth, QueryPool, SearchPool
from signalbox_api.record.fleet import FleetReader
from signalbox_api.record.probes import Probes
from signalbox_api.routes import ROUTERS, handlers, own_addresses
from signalbox_api.server import shares_of
from signalbox_api.services import Services
from signalbox_api.web.compression import Compression
from signalbox_api.web.forwarded import Forwarded
from signalbox_api.web.metrics import Measure, Metrics
from signalbox_api.web.root_path import RootPath, check_root_path
from signalbox_api.web.security import Headers, Limits
from signalbox_api.web.static import read_folder
from signalbox_api.web.task_addresses import TaskAddresses

#: Connections to Redis: each cancel that waits for its proof holds one.
COMMAND_CONNECTIONS, QUICK_CONNECTIONS = 256, 32
#: Seconds for a short question to Redis; a cancel must not wait longer to learn who asks.
QUICK_TIMEOUT = 1.0
#: Connections to PostgreSQL: for lists, for what is found by its key, for cancels (and the health check), for users and
#: tokens.
LIST_CONNECTIONS, RECORD_CONNECTIONS, URGENT_CONNECTIONS, ACCOUNT_CONNECTIONS = 6, 4, 4, 4
#: For searches, each of which can keep a core of the server busy.
SEARCH_CONNECTIONS = 2
#: A plan for each list: the right one depends on how common a name, a queue or a host is.
LIST_OPTIONS = {"plan_cache_mode": "force_custom_plan"}

_DESCRIPTION = """The control plane of Celery: see tasks and processes, cancel, stop and start, with proof.

Programs send `Authorization: Bearer <token>`. Browsers send the session cookie and, with everything that changes
something, the header `X-CSRF-Token`. Times are RFC 3339 in UTC. Every error is `{"status": "error", "message": …}`.

`WS /scheduler/live/?since=<position>&subscription=<JSON>` sends JSON frames; both parameters may be left out. The
first is `hello` with `position`, `server_time` and `resync` (load your lists again). Then come `changes`:
`{"position", "changes": [{"kind", "key", "row"}]}`, rows as in the calls below, and every two seconds a `beat` with
`position`, `server_time`, `record_age` in seconds, `bus`: whether the api hears of changes, `as_of`: up to when the
record is complete, and `behind`: the parts that are behind or away, `[{"part", "since", "message"}]`; while there are
any, nobody vouches for what is shown.

A subscription, `{"tasks": {"status", "outcome", "host", "queue", "name", "q"}, "task": "<id>", "processes": true,
"commands": true}`, has you sent only the changes of what it names: of a list of tasks, of one task with its logs, of
processes and hosts, of the audit trail. A list gets also what matches no longer. All parts, and all parts of the
filter of a list, may be left out. Without a subscription everything is sent. Send `{"type": "subscribe",
"subscription": …, "since": "<position>"}` to change it; the answer is `subscribed` with `position` and `resync`, then
what came since. `error` with a `message` answers what cannot be understood, and everything goes on.

If you read too slowly, changes are left out: a `beat` with `left_out`, their number, and no `position`, then `hello`
with `resync` as soon as you have read everything. Close codes: 4401 the session is over, 4408 you read nothing for
ten seconds; come back with the last `position`.
"""


def create_app(settings: Settings) -> FastAPI:
    """The application; connections are opened when it starts and closed when it ends.

    Raises:
        SettingsError: there is no database to read from, its address cannot be used, or the root path is one of our own
            addresses.
    """
    if not settings.database_url:
        raise SettingsError(
            "SIGNALBOX_DATABASE_URL is not set; set it as in postgresql://user:password@host:5432/signalbox"
        )
    check_root_path(settings.root_path, own_addresses())
    usable(settings.database_url)
    metrics = Metrics()
    app = FastAPI(
        title="Signalbox",
        version="0.1.0",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=partial(_lifespan, settings, metrics),
    )
    app.state.shares = shares_of(settings)
    for router in ROUTERS:
        app.include_router(router)
    handlers.install(app)
    app.add_middleware(TaskAddresses)
    app.add_middleware(Limits)
    app.add_middleware(Compression)
    app.add_middleware(Headers)
    app.add_middleware(Measure, metrics=metrics)
    app.add_middleware(RootPath, root=settings.root_path)
    app.add_middleware(Forwarded, trusted=settings.trusted_proxies)
    return app


@asynccontextmanager
async def _lifespan(settings: Settings, metrics: Metrics, app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        services = await _open(settings, metrics, app, stack)
        app.state.services = services
        probes, directory = services.probes, services.directory
        tables = Tables(services.accounts.database)
        await asyncio.gather(probes.ask_redis(), probes.ask_record())
        loops = (services.urgent.health.watch, services.tail.follow, services.beats.run)
        async with background(
            *loops,
            tables.keep,
            probes.follow_redis,
            probes.follow_record,
            directory.keep_synchronized,
            directory.keep_tidy,
            services.trail.run,
        ):
            yield
        with suppress(DatabaseUnavailable):
            await services.trail.write(all_of_it=True)


async def _open(settings: Settings, metrics: Metrics, app: FastAPI, stack: AsyncExitStack) -> Services:
    """Open every connection, to be closed by `stack`, and build the services on them."""
    quick = connect(settings.redis_url, connections=QUICK_CONNECTIONS, timeout=QUICK_TIMEOUT)
    commands = connect(settings.redis_url, connections=COMMAND_CONNECTIONS)
    for redis in (quick, commands):
        stack.push_async_callback(redis.aclose)
    lists, searches, record, urgent, accounts = await _open_databases(settings, stack)
    health, hub, passwords = DatabaseHealth(urgent), Hub(), Passwords()
    await passwords.prepare()
    queries, rows, urgent_rows = (QueryPool(pool, health) for pool in (accounts, record, urgent))
    tail = Tail(commands, hub)
    probes = Probes(quick, urgent_rows, lambda: tail.silent_for)
    return Services(
        redis=quick,
        commander=Commander(commands, settings.key),
        newest=QueryPool(lists, health),
        searches=SearchPool(searches, health),
        record=rows,
        urgent=urgent_rows,
        accounts=queries,
        fleet=FleetReader(rows),
        probes=probes,
        directory=Directory(Mirror(quick), queries),
        passwords=passwords,
        throttle=Throttle(quick),
        trail=Trail(queries, settings),
        tail=tail,
        beats=Beats(tail, hub, probes),
        hub=hub,
        metrics=metrics,
        shares=app.state.shares,
        callers=Callers(settings.sockets_per_caller),
        refused_for=settings.remember_cancelled,
        root_path=settings.root_path,
        dashboard=read_folder("dashboard"),
        reference=read_folder("reference"),
    )


async def _open_databases(settings: Settings, stack: AsyncExitStack) -> list[Database]:
    """The pools, one for each kind of query: no one of them uses up the connections of another."""
    return [
        await stack.enter_async_context(
            open_database(
                settings.database_url, connections=most, application=name, read_only=read_only, options=options
            )
        )
        for name, most, read_only, options in (
            ("signalbox api: lists", LIST_CONNECTIONS, True, LIST_OPTIONS),
            ("signalbox api: searches", SEARCH_CONNECTIONS, True, search.OPTIONS),
            ("signalbox api: record", RECORD_CONNECTIONS, True, PLANNED_ONCE),
            ("signalbox api: urgent", URGENT_CONNECTIONS, True, PLANNED_ONCE),
            ("signalbox api: accounts", ACCOUNT_CONNECTIONS, False, {}),
        )
    ]
