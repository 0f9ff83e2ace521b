"""Connections that do nothing, requests that never end: in words, and nobody else is shut out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from signalbox.postgres.pool import Database
from signalbox_api.connections import protocol
from signalbox_api.connections.protocol import MOST_HEAD
from support.api import ADMIN, Api, Json, an_answering_host, an_api, put_task, says
from support.eventually import eventually
from support.raw_http import RawClient
from support.stores.server import Redis

#: Connections in all, of one address, and live ones of one caller.
FEW: Json = {"connections": 40, "connections_per_address": 12, "sockets_per_caller": 16}
GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /session HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
#: An operator's address; the attacks come from others.
OPERATOR = "127.0.0.2"


@pytest.fixture
async def api(valkey: Redis, database_url: str) -> AsyncIterator[Api]:
    async with an_api(valkey.url, database_url, behind=FEW) as running:
        yield running


def words(answer: tuple[int, Any]) -> tuple[int, str]:
    """The status, and the first words of the message."""
    status, body = answer
    assert body["status"] == "error"
    return status, " ".join(body["message"].split()[:7])


def handshake(token: str) -> bytes:
    """The request for a live connection."""
    return (
        b"GET /scheduler/live/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Authorization: Bearer " + token.encode() + b"\r\n\r\n"
    )


@pytest.fixture
async def raw(api: Api) -> AsyncIterator[RawClient]:
    async with RawClient(api.url) as client:
        yield client


async def test_a_head_that_grows_without_end_is_431(raw: RawClient) -> None:
    endless = await raw.connect()
    await endless.send(GET + b"X-Long: ")
    for _ in range(100):
        await endless.send(b"x" * MOST_HEAD)
    assert await endless.is_closed()
    for head in (b"X-Long: " + b"x" * MOST_HEAD, b"".join(b"X-%d: y\r\n" % i for i in range(9000)), b"X-Long: " * 9000):
        connection = await raw.connect()
        await connection.send(GET + head + b"\r\n\r\n")
        assert words(await connection.answer()) == (431, "The head of the request is larger")
    many = await raw.connect()
    await many.send(GET + b"Cookie: " + b"y" * (MOST_HEAD // 2) + b"\r\n\r\n")
    assert await many.answer() == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_no_http_is_400_in_words(api: Api, raw: RawClient, sent: bytes) -> None:
    connection = await raw.connect()
    await connection.send(sent)
    assert (await connection.answer())[0] in {400, 404}
    async with api.client() as client:
        assert (await client.get("/healthz")).status_code == 200


async def test_what_does_not_come_is_given_up(raw: RawClient, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = await raw.connect()
    for name in ("HEAD_WAIT", "LINGER_WAIT", "IDLE_WAIT"):
        monkeypatch.setattr(protocol, name, 0.1)
    await slow.send(GET)
    assert words(await slow.answer()) == (408, "The head of the request did not")
    silent = await raw.connect()
    assert await silent.is_closed()
    monkeypatch.setattr(protocol, "HEAD_WAIT", 60.0)
    used = await raw.connect(sends=GET + b"\r\n")
    assert await used.answer() == (200, {"status": "ok"})
    await used.send(b"\r\n")  # is no request yet
    assert await used.is_closed()
    # Nobody reads this body, and it would go on for ever.
    unread = await raw.connect(sends=GET + b"Content-Length: 1000\r\n\r\n{")
    assert await unread.answer() == (200, {"status": "ok"})
    assert await unread.is_closed()


async def test_a_client_that_takes_nothing_of_its_answers_is_cut_off(
    api: Api, raw: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "WRITE_WAIT", 0.1)
    asks = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + api.token.encode() + b"\r\n\r\n"
    deaf = await raw.connect()
    deaf.writer.write(asks * 1000)  # far more than buffers take
    await deaf.reader.readexactly(1)  # it is there, and is answered

    async def cut_off() -> bool:
        return not len(api.app.state.shares)

    await eventually(cut_off, "the connection is closed")


async def test_an_address_keeps_to_its_share_and_what_is_idle_goes_first(api: Api, raw: RawClient) -> None:
    idle = await raw.hold(30)
    assert await idle[0].is_closed()
    async with api.client() as client:
        assert (await client.get("/scheduler/tasks/")).status_code == 200
    assert len(api.app.state.shares) <= FEW["connections_per_address"]


async def test_websockets_count_and_are_not_closed_for_others(api: Api, raw: RawClient) -> None:
    share = FEW["connections_per_address"]
    shake = handshake(api.token)
    sockets = await raw.hold(share, sends=shake)
    for socket in sockets:
        assert b"101" in await socket.reader.readuntil(b"\r\n\r\n")
    refused = await raw.connect()
    assert words(await refused.answer()) == (429, "12 connections of your address are in")
    await sockets[0].close()

    async def let_in() -> bool:
        again = await raw.connect()
        await again.send(GET + b"\r\n")
        return (await again.answer())[0] == 200

    await eventually(let_in, "a place is free again")


async def test_one_caller_has_so_many_websockets_from_wherever_they_come(api: Api, raw: RawClient) -> None:
    for number in range(FEW["sockets_per_caller"]):
        socket = await raw.connect(f"127.0.0.{number // 8 + 1}", handshake(api.token))
        assert b" 101 " in await socket.reader.readuntil(b"\r\n\r\n")
    refused = await raw.connect("127.0.1.1", handshake(api.token))
    assert words(await refused.answer())[0] == 429
    other = await raw.connect("127.0.1.1", handshake((await api.make_token("viewer", "another"))["token"]))
    assert b" 101 " in await other.reader.readuntil(b"\r\n\r\n")


async def test_an_operator_cancels_while_others_do_their_worst(
    api: Api, raw: RawClient, valkey: Redis, database: Database
) -> None:
    """Every limit is reached, from many addresses; the operator comes from one that did nothing."""
    task_id = await put_task(database)
    operator = (await api.make_token("operator"))["token"]
    many = [f"127.0.1.{number}" for number in range(1, 5)]
    for source in many:
        await raw.hold(20, source)
    slow = POST + b"Content-Length: 1000\r\n\r\n{"
    for source in many:
        await raw.hold(20, source, sends=slow)
    await raw.hold(3, sends=GET + b"X-Long: " + b"x" * (MOST_HEAD - 200))
    async with api.client("") as guesser:
        tries = [
            guesser.post("/session", json={"username": name, "password": f"a guess {number}"})
            for number in range(20)
            for name in (ADMIN, f"user{number}")
        ]
        guesses = asyncio.gather(*tries, return_exceptions=True)
        async with an_answering_host(valkey.url, says("cancelled")):
            cancel = await raw.connect(OPERATOR)
            await cancel.send(
                f"POST /scheduler/cancel-task/{task_id}/ HTTP/1.1\r\nHost: a\r\n"
                f"Authorization: Bearer {operator}\r\nContent-Length: 0\r\n\r\n".encode()
            )
            status, answer = await cancel.answer()
        await guesses
    assert (status, answer["verified"]) == (200, True)
