"""The composition root of a local run: two stores, three services, in the order that they need each other."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from signalbox_local import environment, example
from signalbox_local.child import Child
from signalbox_local.errors import LocalError, PortTaken
from signalbox_local.external import ExternalPostgres, ExternalRedis, Store
from signalbox_local.plan import Plan
from signalbox_local.ports import is_free
from signalbox_local.postgres import EmbeddedPostgres
from signalbox_local.progress import Report, step
from signalbox_local.readiness import first_user, is_migrated, is_serving
from signalbox_local.secret import secret, write_private
from signalbox_local.service import CONTROLLER_PATIENCE, Service
from signalbox_local.valkey import EmbeddedValkey
from signalbox_local.waiting import until

ADMIN = "admin"
#: Seconds for a service to become ready.
_PATIENCE = 45.0


class LocalRun:
    """All of Signalbox on this machine; tests take its parts away and bring them back."""

    def __init__(self, plan: Plan, report: Report) -> None:
        """Nothing runs yet; each step that is done is told to `report`."""
        self.plan = plan
        self._report = report
        data, durable = plan.data, plan.durable
        self.postgres: Store = (
            ExternalPostgres(plan.database_url) if plan.database_url else EmbeddedPostgres(data, durable=durable)
        )
        self.valkey: Store = ExternalRedis(plan.redis_url) if plan.redis_url else EmbeddedValkey(data, durable=durable)
        #: By name, in the order of their start; empty until the stores run.
        self.services: dict[str, Service] = {}
        #: Of the local administrator, once he was made.
        self.token = ""

    @property
    def admin_password(self) -> str:
        """What the first user signs in with."""
        return secret(self.plan.data, "admin")

    @property
    def key(self) -> str:
        """What commands are signed with."""
        return secret(self.plan.data, "key")

    async def start(self) -> None:
        """Start everything; it serves when this returns.

        Raises:
            LocalError: the text says which part did not start, and why. What did start is left for `stop`.
        """
        if not is_free(self.plan.port):
            raise PortTaken(
                f"port {self.plan.port} on 127.0.0.1 is taken by another program; stop it, or set SIGNALBOX_PORT"
            )
        self._forget_address()
        await self._start_stores()
        self.services = self._compose()
        for service in self.services.values():
            await service.end_leftover()
        # The controller needs no record, and its workers take their time: it goes first.
        self.services["controller"].start()
        self.services["reconciler"].start()
        with step(self._report, "First user"):
            api = environment.for_api(self._common(), self.postgres.url, self.plan)
            self.token = await first_user(ADMIN, self.admin_password, api)
        with step(self._report, "Reconciler, and the tables of the record"):
            await self._ready("reconciler", lambda: is_migrated(self.postgres.url))
        with step(self._report, "Controller, api and dashboard"):
            self.services["api"].start()
            await self._ready("api", lambda: is_serving(self.plan.url, self.token))
        write_private(self._client_file, json.dumps({"url": self.plan.url, "token": self.token}))
        example.tell(self.plan.data, environment.shop(self.valkey.url))

    @property
    def anything_runs(self) -> bool:
        """Whether there is anything to stop."""
        return any(child.running for child in self._children())

    async def broken(self) -> LocalError:
        """Wait until a part of ours ends that nobody stopped; what to tell the person."""
        children = list(self._children())
        waits = [asyncio.ensure_future(child.exited()) for child in children]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        child = next(child for child in children if not child.running)
        return child.failure(f"ended unexpectedly (exit code {child.exit_code})")

    async def stop(self) -> None:
        """Stop everything that runs, in order; a second call does nothing."""
        self._forget_address()
        for name, what in (
            ("controller", "Controller, and its Celery processes"),
            ("api", "Api"),
            ("reconciler", "Reconciler"),
        ):
            service = self.services.get(name)
            if service is not None and service.child.running:
                with step(self._report, f"{what}: stopped"):
                    await service.stop()
        with step(self._report, "Stores: stopped"):
            await asyncio.gather(self.postgres.stop(), self.valkey.stop())

    async def kill(self) -> None:
        """End everything at once."""
        for service in self.services.values():
            await service.kill()
        await asyncio.gather(self.postgres.kill(), self.valkey.kill())

    async def _start_stores(self) -> None:
        """Both at once; when one fails the other is still waited for, so that `stop` finds nothing half started."""

        async def start(store: Store) -> None:
            with step(self._report, store.name):
                await store.start()

        outcomes = await asyncio.gather(start(self.postgres), start(self.valkey), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    def _compose(self) -> dict[str, Service]:
        data, base, record = self.plan.data, self._common(), self.postgres.url
        return {
            "controller": Service(
                "controller", data, environment.for_controller(base, self.plan), patience=CONTROLLER_PATIENCE
            ),
            "reconciler": Service("reconciler", data, environment.with_record(base, record)),
            "api": Service("api", data, environment.for_api(base, record, self.plan)),
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

        if not await until(ready_or_broken, time.monotonic() + _PATIENCE):
            raise self.services[name].child.failure(f"was not ready after {_PATIENCE:g} s")

    def _children(self) -> Iterable[Child]:
        """What was started, without what was not ours to start."""
        for part in (self.postgres, self.valkey, *self.services.values()):
            child = getattr(part, "child", None)
            if isinstance(child, Child) and child.pid is not None:
                yield child

    def _forget_address(self) -> None:
        for file in (self._client_file, example.place(self.plan.data)):
            file.unlink(missing_ok=True)

    @property
    def _client_file(self) -> Path:
        """Tells the command line where to find us, and with which token."""
        return self.plan.data / "client.json"
