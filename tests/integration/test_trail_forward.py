"""The trail is sent elsewhere: in order, from where it ended the last time, and only what is as it was chained."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from signalbox.postgres.pool import Database
from signalbox_cli.commands.forward import AT_ONCE
from support import cli
from support.api import Api, an_api
from support.cli import Ended
from support.eventually import eventually
from support.stores.server import Redis
from support.trail import fill, noted_start


@pytest.fixture
async def api(valkey: Redis, database_url: str, database: Database) -> AsyncIterator[Api]:
    async with an_api(valkey.url, database_url) as running:
        await noted_start(database)
        yield running


async def forward(api: Api, folder: Path, *target: str) -> Ended:
    arguments = ("audit", "forward", "--once", "--state", str(folder / "state"), *target)
    return await cli.run(*arguments, data=folder, SIGNALBOX_URL=api.url, SIGNALBOX_TOKEN=api.token)


async def more(database: Database, count: int) -> int:
    """Chain so many lines more; how many there are then."""
    async with database.connection() as connection:
        await fill(connection, count)
        return int(await connection.fetchval("SELECT count(*) FROM trail_chain"))


def numbers(text: bytes | str) -> list[int]:
    return [json.loads(line)["number"] for line in text.splitlines()]


async def test_a_file_gets_each_line_once_over_several_runs(api: Api, database: Database, tmp_path: Path) -> None:
    file = tmp_path / "trail.jsonl"
    for _ in range(2):
        count = await more(database, AT_ONCE + 1)
        for _ in range(2):
            assert (await forward(api, tmp_path, "--file", str(file))).code == 0
        assert numbers(file.read_text()) == list(range(1, count + 1))
    assert file.stat().st_mode & 0o777 == 0o600


async def test_syslog_gets_each_line(api: Api, database: Database, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        log.settimeout(30.0)
        count = await more(database, 3)
        assert (await forward(api, tmp_path, "--syslog", str(tmp_path / "log"))).code == 0
        received = [log.recv(65536) for _ in range(count)]
    assert numbers(b"\n".join(one.removeprefix(b"<85>signalbox: ") for one in received)) == list(range(1, count + 1))


@asynccontextmanager
async def a_webhook(answers: list[bytes]) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives these answers, one to each request; its address, and the bodies."""
    bodies: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
        bodies.append(await reader.readexactly(int(headers[b"content-length"])))
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % answers.pop(0))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/trail", bodies


async def test_what_a_webhook_does_not_take_is_sent_again(api: Api, database: Database, tmp_path: Path) -> None:
    count = await more(database, 3)
    async with a_webhook([b"503 Busy", b"204 No Content"]) as (url, bodies):
        refused = await forward(api, tmp_path, "--webhook", url)
        assert (refused.code, "answered HTTP 503" in refused.err) == (1, True)
        assert (await forward(api, tmp_path, "--webhook", url)).code == 0
    assert [numbers(body) for body in bodies] == [list(range(1, count + 1))] * 2
    away = await forward(api, tmp_path, "--webhook", url)
    assert away.code == 0, "nothing is left to be sent"
    await more(database, 1)
    assert (await forward(api, tmp_path, "--webhook", url)).code == 3


async def test_it_runs_on_over_failures_and_sends_what_comes_later(
    api: Api, database: Database, tmp_path: Path
) -> None:
    first = await more(database, 2)
    async with a_webhook([b"500 Broken", b"200 OK", b"200 OK"]) as (url, bodies):
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("signalbox")), "audit", "forward"),
            *("--state", str(tmp_path / "state"), "--webhook", url),
            env={**os.environ, "SIGNALBOX_URL": api.url, "SIGNALBOX_TOKEN": api.token},
        )
        try:
            await eventually(lambda: arrived(bodies, 2), "what was refused is sent again")
            last = await more(database, 2)
            await eventually(lambda: arrived(bodies, 3), "what came later is sent")
        finally:
            process.kill()
            await process.wait()
    sent = list(range(1, first + 1))
    assert [numbers(body) for body in bodies] == [sent, sent, list(range(first + 1, last + 1))]


async def arrived(bodies: list[bytes], count: int) -> bool:
    return len(bodies) >= count


async def test_a_line_that_was_changed_is_not_sent(api: Api, database: Database, tmp_path: Path) -> None:
    file = tmp_path / "trail.jsonl"
    count = await more(database, 3)
    await forward(api, tmp_path, "--file", str(file))
    await more(database, 3)
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE trail SET who = 'user:mallory' WHERE line = (SELECT line FROM trail_chain WHERE number = $1)",
            count + 2,
        )
    ended = await forward(api, tmp_path, "--file", str(file))
    assert (ended.code, ended.err.startswith(f"Line {count + 2} is missing or was changed")) == (1, True)
    assert max(numbers(file.read_text())) <= count + 1


async def test_a_trail_that_ends_before_what_was_sent_is_said(api: Api, database: Database, tmp_path: Path) -> None:
    count = await more(database, 5)
    await forward(api, tmp_path, "--file", str(tmp_path / "trail.jsonl"))
    async with database.connection() as connection:
        await connection.execute(
            "DELETE FROM trail_chain WHERE number = (SELECT max(number) FROM trail_chain);"
            " UPDATE trail_ends AS e SET number = c.number, hash = c.hash FROM trail_chain AS c"
            " WHERE e.name = 'head' AND c.number = (SELECT max(number) FROM trail_chain)"
        )
    ended = await forward(api, tmp_path, "--file", str(tmp_path / "trail.jsonl"))
    assert ended.code == 1
    assert ended.err == f"Line {count} was sent, and the chain ends at {count - 1}: lines were removed.\n"


async def test_what_retention_removed_meanwhile_is_said(api: Api, database: Database, tmp_path: Path) -> None:
    file = tmp_path / "trail.jsonl"
    count = await more(database, 3)
    await forward(api, tmp_path, "--file", str(file))
    await more(database, 3)
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE trail SET at = at - interval '400 days'"
            " WHERE line IN (SELECT line FROM trail_chain WHERE number <= $1)",
            count + 1,
        )
        assert await connection.fetchval("SELECT cut_trail('365 days', 1000)") == count + 1
    ended = await forward(api, tmp_path, "--file", str(file))
    assert ended.code == 0
    assert f"The lines {count + 1} to {count + 1} were removed by retention before they were sent" in ended.err
    assert numbers(file.read_text())[count:] == [count + 2, count + 3]


@pytest.mark.parametrize("targets", [(), ("--syslog", "x:1", "--webhook", "http://x")], ids=["none", "two"])
async def test_there_is_one_target(api: Api, tmp_path: Path, targets: tuple[str, ...]) -> None:
    assert (await forward(api, tmp_path, *targets)).code == 2
