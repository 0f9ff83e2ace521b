"""Local run: composition root of two stores and three services, started in the order of their dependencies."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from signalbox_local import example
from signalbox_local.errors import LocalError, PortTaken
from signalbox_local.plan import Plan
from signalbox_local.ports import is_free
from signalbox_local.processes.child import Child
from signalbox_local.processes.waiting import until
from signalbox_local.progress import Report, step
from signalbox_local.secret import is_known, secret, write_private
from signalbox_local.services import environment
from signalbox_local.services.readiness import first_user, is_migrated, is_serving
from signalbox_local.services.service import CONTROLLER_STOP_TIMEOUT, Service
from signalbox_local.stores.external import (
    External,
    postgres_answers,
    postgres_in_use,
    redis_answers,
    redis_in_use,
)
from signalbox_local.stores.postgres import EmbeddedPostgres
from signalbox_local.stores.roles import API, RECONCILER
from signalbox_local.stores.server import EmbeddedServer
from signalbox_local.stores.valkey import EmbeddedValkey

Store = EmbeddedServer | External

ADMIN = "admin"
#: The secret that commands are signed with; a data folder without one has never been used.
KEY = "key"
#: Seconds for a service to become ready; one that ends before is seen at once, so a slow machine may take its time.
READY_TIMEOUT = 180.0


class LocalRun:
    """All of Signalbox on this machine; tests stop and start its parts."""

    def __init__(self, plan: Plan, report: Report) -> None:
        """Start nothing yet; `report` gets a line for each step that is done."""
        self.plan = plan
        self._report = report
        data, durable = plan.data, plan.durable
        self.postgres: EmbeddedPostgres | External = EmbeddedPostgres(data, durable=durable)
        if plan.database_url:
            self.postgres = External("PostgreSQL", "DATABASE_URL", plan.database_url, postgres_answers, postgres_in_use)
        self.valkey: Store = EmbeddedValkey(data, durable=durable)
        if plan.redis_url:
            self.valkey = External("Redis", "REDIS_URL", plan.redis_url, redis_answers, redis_in_use)
        #: By name, in the order of their start; empty until the stores run.
        self.services: dict[str, Service] = {}
        #: Token of the local administrator, once created.
        self.token = ""

    @property
    def admin_password(self) -> str:
        """Password of the first user."""
        return secret(self.plan.data, "admin")

    @property
    def key(self) -> str:
        """Key that commands are signed with."""
        return secret(self.plan.data, KEY)

    async def start(self) -> None:
        """Start everything; it serves when this returns.

        Raises:
            LocalError: a part did not start; the text has the reason. `stop` ends the parts that did.
        """
        if not is_free(self.plan.port):
            raise PortTaken(
                f"port {self.plan.port} on 127.0.0.1 is taken by another program; stop it, or set SIGNALBOX_PORT"
            )
        self._remove_addresses()
        await self._start_stores()
        if not is_known(self.plan.data, KEY):
            for store in (self.postgres, self.valkey):
                if isinstance(store, External):
                    await store.refuse_another()
        self.services = self._compose()
        for service in self.services.values():
            await service.end_leftover()
        # The controller needs no record, and its workers take their time: it goes first.
        self.services["controller"].start()
        if isinstance(self.postgres, EmbeddedPostgres):  # the roles of an external one are its owner's to make
            with step(self._report, "Tables, and a role for each service"):
                await self.postgres.make_roles()
        self.services["reconciler"].start()
        with step(self._report, "Reconciler, and the tables of the record"):
            await self._ready("reconciler", lambda: is_migrated(self.postgres.url))
        with step(self._report, "First user"):
            api = environment.for_api(self._common(), self.postgres.url_as(API), self.plan)
            self.token = await first_user(ADMIN, self.admin_password, api)
        with step(self._report, "Controller, api and dashboard"):
            self.services["api"].start()
            await self._ready("api", lambda: is_serving(self.plan.url, self.token))
        write_private(self._client_file, json.dumps({"url": self.plan.url, "token": self.token}))
        example.write_addresses(self.plan.data, environment.shop(self.valkey.url))

    @property
    def anything_runs(self) -> bool:
        """Whether there is anything to stop."""
        return any(child.running for child in self._children())

    async def broken(self) -> LocalError:
        """Start services again that end; when a store ends, or a service too often, return the error to print."""
        while True:
            child = await self._first_to_end()
            failure = child.failure(f"ended unexpectedly (exit code {child.exit_code})")
            service = next((service for service in self.services.values() if service.child is child), None)
            if service is None or not await service.start_again():
                return failure
            self._report(f"{failure}\n  {service.name} was started again")

    async def _first_to_end(self) -> Child:
        children = list(self._children())
        waits = [asyncio.ensure_future(child.exited()) for child in children]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return next(child for child in children if not child.running)

    async def stop(self) -> None:
        """Stop everything that runs, in order; a second call does nothing."""
        self._remove_addresses()
        for name, what in (
            ("controller", "Controller, and its Celery processes"),
            ("api", "Api"),
            ("reconciler", "Reconciler"),
        ):
            service = self.services.get(name)
            if service is not None and service.child.running:
                await self._end(f"{what}: stopped", service.stop())
        await self._end("Stores: stopped", self.postgres.stop(), self.valkey.stop())

    async def kill(self) -> None:
        """End everything at once."""
        everything = (*self.services.values(), self.postgres, self.valkey)
        await self._end("Everything: killed", *(part.kill() for part in everything))

    async def _end(self, what: str, *ends: Awaitable[None]) -> None:
        """Await ends; what does not end in time is reported, and holds up nothing else."""
        with step(self._report, what):
            for outcome in await asyncio.gather(*ends, return_exceptions=True):
                if isinstance(outcome, Exception):
                    self._report(f"  {outcome or type(outcome).__name__}")

    async def _start_stores(self) -> None:
        """Start both at once; when one fails, still wait for the other, so that `stop` finds nothing half started."""

        async def start(store: Store) -> None:
            with step(self._report, store.name):
                await store.start()

        outcomes = await asyncio.gather(start(self.postgres), start(self.valkey), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    def _compose(self) -> dict[str, Service]:
        data, base = self.plan.data, self._common()
        return {
            "controller": Service(
                "controller", data, environment.for_controller(base, self.plan), stop_timeout=CONTROLLER_STOP_TIMEOUT
            ),
            "reconciler": Service("reconciler", data, environment.with_record(base, self.postgres.url_as(RECONCILER))),
            "api": Service("api", data, environment.for_api(base, self.postgres.url_as(API), self.plan)),
        }

    def _common(self) -> dict[str, str]:
        return environment.common(self.plan, redis_url=self.valkey.url, key=self.key)

    async def _ready(self, name: str, ready: Callable[[], Awaitable[bool]]) -> None:
        """Wait for a service; give up at once when any part ends meanwhile."""

        async def ready_or_broken() -> bool:
            for child in self._children():
                if not child.running:
                    raise child.failure(f"ended while it started (exit code {child.exit_code})")
            return await ready()

        if not await until(ready_or_broken, time.monotonic() + READY_TIMEOUT):
            raise self.services[name].child.failure(f"was not ready after {READY_TIMEOUT:g} s")

    def _children(self) -> Iterable[Child]:
        """The children that were started; external stores have none."""
        for part in (self.postgres, self.valkey, *self.services.values()):
            child = getattr(part, "child", None)
            if isinstance(child, Child) and child.pid is not None:
                yield child

    def _remove_addresses(self) -> None:
        for file in (self._client_file, example.address_file(self.plan.data)):
            file.unlink(missing_ok=True)

    @property
    def _client_file(self) -> Path:
        """Address and token for the command line."""
        return self.plan.data / "client.json"
