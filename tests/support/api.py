"""The api alone, on real stores: what it hears of the rest, the test says on the bus or writes into the record."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import uvicorn
from fastapi import FastAPI

from signalbox.bus import names
from signalbox.bus.connection import connect
from signalbox.bus.consumer import entries_of
from signalbox.bus.presence import announce
from signalbox.messages.base import utc_now
from signalbox.messages.codec import decode_command, encode
from signalbox.messages.commands import CancelTask, Command
from signalbox.messages.receipts import Answered, Receipt, Recorded
from signalbox.postgres.pool import Database, open_database
from signalbox.settings import Settings
from signalbox_api.app import create_app
from signalbox_api.bootstrap import bootstrap
from signalbox_api.server import config_of
from support.eventually import HANGS

KEY = "a key for the tests, long enough to be one"
ADMIN, PASSWORD = "admin", "correct horse battery staple"

Json = dict[str, Any]


@dataclass(frozen=True)
class Api:
    """A running api."""

    url: str
    settings: Settings
    #: An admin's.
    token: str
    #: For tests that look inside.
    app: FastAPI

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        """A program that shows a token: the admin's unless another is given, none if it is ""."""
        token = self.token if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30.0, trust_env=False)

    async def make_token(self, role: str, name: str = "a token of the tests") -> Json:
        """A new token, with its id."""
        async with self.client() as admin:
            answer = await admin.post("/scheduler/tokens/", json={"name": name, "role": role})
        made: Json = answer.raise_for_status().json()
        return made

    async def sign_in(self, client: httpx.AsyncClient, name: str = ADMIN, password: str = PASSWORD) -> str:
        """Sign a browser in; answers its CSRF token."""
        answer = await client.post("/session", json={"username": name, "password": password})
        return str(answer.raise_for_status().json()["csrf"])


async def vouch_for_the_record(database_url: str) -> None:
    """Write the heartbeat of a reconciler that never goes away."""
    async with open_database(database_url, connections=1) as database, database.connection() as connection:
        await connection.execute(
            "INSERT INTO reconcilers VALUES ('the tests', now() + interval '1 day', now() + interval '1 day')"
            " ON CONFLICT DO NOTHING"
        )


@asynccontextmanager
async def an_api(
    redis_url: str, database_url: str, *, vouched: bool = True, behind: Json | None = None
) -> AsyncIterator[Api]:
    """Start the api on a free port, with an admin and a token; stop it at the end.

    Unless it is `vouched` for, nobody vouches for the record until a reconciler runs. `behind` holds other settings.
    """
    if vouched:
        await vouch_for_the_record(database_url)
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:  # only then asyncio sends small answers at once
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        settings = Settings(redis_url=redis_url, database_url=database_url, key=KEY, port=port, **(behind or {}))
        token = await bootstrap(settings, ADMIN, PASSWORD)
        app = create_app(settings)
        server = uvicorn.Server(config_of(app, settings))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:
                assert not serving.done(), "the api did not start"
                await asyncio.sleep(0.01)
            yield Api(f"http://127.0.0.1:{port}", settings, token, app)
        finally:
            server.should_exit = True
            await asyncio.wait_for(serving, HANGS)


#: The place of a task of a status, in SQL; 0 of an open one.
PERIOD_OF = "COALESCE((SELECT period FROM periods WHERE status = '{}' ORDER BY begins DESC LIMIT 1), 0)"

#: A task that runs.
_TASK = msgspec.json.decode(b"""{
    "run": "0000.1", "phase": 2, "confirmed": true, "precedence": 1, "status": "running", "retries": 0, "pid": 4711,
    "host": "somehost", "worker": "worker@somehost", "details_key": "1", "name": "charge", "queue": "celery",
    "celery_name": "shop.orders.charge", "args": "()", "kwargs": "{}", "attempt": 1
}""")


async def put_task(database: Database, task_id: str | None = None, **columns: object) -> str:
    """Write a task into the record, running on `somehost` unless told otherwise; its id."""
    now, task_id = utc_now(), task_id or str(uuid4())
    row = {**_TASK, "task_id": task_id, "created_at": now, "started_at": now, **columns}
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    insert = f"INSERT INTO tasks ({', '.join(row)}, period) VALUES ({places}, {PERIOD_OF.format(row['status'])})"  # noqa: S608
    async with database.connection() as connection:
        await connection.execute(insert, *row.values())
    return task_id


def ended(outcome: str, error: str | None = None) -> Json:
    """The columns of a task that is over."""
    status = "completed" if outcome == "succeeded" else "failed"
    return {"status": status, "outcome": outcome, "error": error, "phase": 4, "finished_at": utc_now()}


Answer = Callable[[Command], Sequence[Receipt]]


@asynccontextmanager
async def an_answering_host(redis_url: str, answer: Answer, name: str = "somehost") -> AsyncIterator[list[Command]]:
    """A host that is present on the bus and answers every command as it is told; yields the commands that it heard."""
    redis = connect(redis_url)
    heard: list[Command] = []

    async def listen() -> None:
        position = b"0"
        while True:
            await announce(redis, name)
            for entry in entries_of(await redis.xread({names.COMMANDS: position}, block=500)):
                position = entry.position
                command = decode_command(entry.data)
                heard.append(command)
                for receipt in answer(command):
                    await redis.xadd(names.receipts(command.command_id), {b"data": encode(receipt)})

    await announce(redis, name)
    listening = asyncio.create_task(listen())
    try:
        yield heard
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await redis.aclose()


def says(verdict: Any, *, recorded: bool = True, host: str = "somehost", **fields: Any) -> Answer:
    """How a host answers that always says the same."""

    def answer(command: Command) -> list[Receipt]:
        task_id = command.task_id if isinstance(command, CancelTask) else None
        now = utc_now()
        said = Answered(command_id=command.command_id, at=now, host=host, verdict=verdict, task_id=task_id, **fields)
        return [said, Recorded(command_id=command.command_id, at=now, host=host)] if recorded else [said]

    return answer
