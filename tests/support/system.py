"""The whole of Signalbox as `make up` runs it, on free ports, with hands for a test to use it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import httpx

from signalbox_local.plan import ROOT, Plan
from signalbox_local.ports import free_port
from signalbox_local.run import ADMIN, LocalRun
from signalbox_local.services import environment
from support.celery_sender import celery_sender
from support.eventually import HANGS, eventually
from support.stores.server import Postgres, Redis

Json = dict[str, Any]
#: What `make up` runs.
EXAMPLE = ROOT / "signalbox.example.toml"


class System:
    """A running Signalbox: its parts, and what people and programs do with it."""

    def __init__(self, run: LocalRun, postgres: Postgres, redis: Redis) -> None:
        self.run = run
        #: Stop and start them to see what an outage does.
        self.postgres, self.redis = postgres, redis
        self._sent: list[str] = []

    @property
    def url(self) -> str:
        """Where the api and the dashboard are."""
        return self.run.plan.url

    @property
    def data(self) -> Path:
        """The data folder, with `logs/<service>.log`."""
        return self.run.plan.data

    @property
    def admin(self) -> tuple[str, str]:
        """User name and password to sign in with."""
        return ADMIN, self.run.admin_password

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        """A program that shows a token: the local administrator's unless another is given, none if it is ""."""
        token = self.run.token if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30.0, trust_env=False)

    @asynccontextmanager
    async def signed_in(self, name: str | None = None, password: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """A browser with a session cookie that sends its CSRF token; the administrator's by default."""
        user, secret = self.admin
        async with self.client("") as client:
            answer = await client.post("/session", json={"username": name or user, "password": password or secret})
            answer.raise_for_status()
            client.headers["X-CSRF-Token"] = answer.json()["csrf"]
            yield client

    async def token(self, role: str) -> str:
        """A new token with a role: viewer, operator or admin."""
        async with self.client() as client:
            answer = await client.post("/scheduler/tokens/", json={"name": f"a {role} of the tests", "role": role})
        answer.raise_for_status()
        return str(answer.json()["token"])

    async def send(
        self, task: str, *, countdown: float | None = None, under: str | None = None, **arguments: Any
    ) -> str:
        """Send a task of the shop, as in `send("reports.count_stock", seconds=60.0)`, `under` this id; its id."""
        task_id = await asyncio.to_thread(self._send, f"shop.{task}", arguments, countdown, under)
        self._sent.append(task_id)
        return task_id

    async def task(self, task_id: str) -> Json | None:
        """The task as the api shows it; None while it knows none of that id."""
        async with self.client() as client:
            answer = await client.get(f"/scheduler/tasks/{task_id}/")
        assert answer.status_code != 503, answer.text  # right after an outage the api knows of it a moment longer
        return None if answer.status_code == 404 else answer.raise_for_status().json()

    async def task_when(self, task_id: str, status: str, *, within: float = HANGS) -> Json:
        """The task, as soon as the api shows it with `status`."""

        async def look() -> Json | None:
            task = await self.task(task_id)
            assert task is None or task["status"] == status, f"it is {task['status']}"
            return task

        return await eventually(look, f"task {task_id} {status}", within=within)

    async def running(self, task: str = "reports.count_stock", **arguments: Any) -> Json:
        """Send a long task; the task once it runs, with its `pid`."""
        task_id = await self.send(task, **(arguments or {"seconds": 120.0}))
        return await self.task_when(task_id, "running")

    async def record(self, query: str, *arguments: object) -> list[Json]:
        """Rows of the record, straight from PostgreSQL."""
        connection = await asyncpg.connect(self.run.postgres.url, timeout=5.0)
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    async def celery_when(self, state: str, *, within: float = HANGS) -> Json:
        """The answer of celery-status, as soon as it says so overall."""

        async def look() -> Json | None:
            async with self.client() as client:
                answer = await client.get("/scheduler/celery-status/")
            assert answer.status_code != 503, answer.text  # as in `task`
            status: Json = answer.raise_for_status().json()
            assert status["celery"] == state, f"it says {status}"
            return status

        return await eventually(look, f"Celery {state}", within=within)

    async def start_celery(self) -> None:
        """Start again what a test stopped."""
        async with self.client() as client:
            (await client.post("/scheduler/start-celery/")).raise_for_status()

    async def make_whole(self) -> None:
        """Start again what a test took away, wait until Celery consumes, and free it of what tests left running."""
        for store in (self.postgres, self.redis):
            child = getattr(store, "child", None)
            if child is not None and not child.running:
                await store.start()
        for service in self.run.services.values():
            if not service.child.running:
                service.start()
        await self.celery_when("running")
        left, self._sent = self._sent, []
        async with self.client() as client:
            await asyncio.gather(*(client.post(f"/scheduler/cancel-task/{task_id}/") for task_id in left))

    def _send(self, name: str, arguments: Json, countdown: float | None, under: str | None) -> str:
        shop = environment.shop(self.run.valkey.url)
        with celery_sender(*shop.values()) as app:
            return str(app.send_task(name, kwargs=arguments, countdown=countdown, task_id=under).id)


@asynccontextmanager
async def a_system(
    data: Path, postgres: Postgres, redis: Redis, database: str, *, broker: str = "", config: Path | None = None
) -> AsyncIterator[System]:
    """Start all of Signalbox on an (empty) database of these stores; stop it at the end.

    `broker` is where Celery's tasks wait, by default the same Redis; `System.send` knows only that one. `config` is
    what the controller runs instead of the example.
    """
    plan = Plan(
        data=data,
        port=free_port(),
        config=config or (_with_broker(data, broker) if broker else EXAMPLE),
        database_url=postgres.url_of(database),
        redis_url=redis.url,
        hostname="testhost",
        log_level="debug",
    )
    run = LocalRun(plan, lambda _line: None)
    try:
        await run.start()
        system = System(run, postgres, redis)
        await system.celery_when("running")
        yield system
    finally:
        await run.stop()


def _with_broker(folder: Path, broker: str) -> Path:
    """The example on another broker."""
    text = EXAMPLE.read_text(encoding="utf-8").replace("${SHOP_BROKER_URL}", broker)
    file = folder.with_suffix(".toml")
    file.write_text(text.replace('directory = "examples"', f'directory = "{ROOT / "examples"}"'), encoding="utf-8")
    return file
