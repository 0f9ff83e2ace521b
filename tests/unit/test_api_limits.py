"""What protects the api from requests that never end, and passwords from being guessed by the clock."""

import asyncio
import json
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from signalbox_api.answers.bodies import SignIn
from signalbox_api.auth.passwords import WAITING, Passwords
from signalbox_api.errors import TooManyTries
from signalbox_api.routes import handlers
from signalbox_api.web.security import Limits


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(body)(scope, receive, send)


def _app() -> FastAPI:
    app = FastAPI()
    handlers.install(app)

    @app.post("/")
    async def take(body: SignIn) -> str:
        return body.username

    return app


async def _stuck(_scope: Scope, _receive: Receive, _send: Send) -> None:
    await asyncio.Event().wait()


async def ask(app: Limits, *parts: Message) -> list[Any]:
    """What the middleware sends when these parts arrive and then nothing more."""
    arriving, sent = list(parts), list[Any]()

    async def receive() -> Message:
        if not arriving:
            await asyncio.Event().wait()
        return arriving.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    return sent


def part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_in_parts_arrives_whole() -> None:
    sent = await ask(Limits(_echo, size=6), part(b"abc", more=True), part(b"def", more=False))
    assert sent[1]["body"] == b"abcdef"


async def test_a_body_that_trickles_in_is_given_up_in_words() -> None:
    sent = await ask(Limits(_app(), body=0.01), part(b"{", more=True))
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["message"].endswith("did not arrive within 0.01 s; send it again")


async def test_a_body_that_grows_without_end_is_given_up_in_words() -> None:
    sent = await ask(Limits(_app(), size=4096), *(part(b"x" * 1024, more=True) for _ in range(5)))
    assert sent[0]["status"] == 413
    assert json.loads(sent[1]["body"])["message"] == "The body of the request is larger than 4 KiB; send less"


async def test_a_request_that_takes_for_ever_is_given_up_in_words() -> None:
    sent = await ask(Limits(_stuck, whole=0.01))
    assert sent[0]["status"] == 504
    assert json.loads(sent[1]["body"])["message"].startswith("This took longer than 0.01 s")


async def test_nobody_signs_in_as_a_user_who_does_not_exist() -> None:
    passwords = Passwords()
    assert not await passwords.matches(None, "nobody has this password")
    assert await passwords.matches(await passwords.hash("right"), "right")
    assert not await passwords.matches(await passwords.hash("right"), "wrong")
    assert not await passwords.matches("not a hash", "right")


async def test_strangers_who_guess_keep_no_known_person_waiting() -> None:
    passwords = Passwords()
    await passwords.prepare()
    stored = await passwords.hash("right")
    guesses = [asyncio.create_task(passwords.matches(stored, "wrong")) for _ in range(WAITING + 3)]
    assert await passwords.matches(stored, "right", known=True)
    ends = await asyncio.gather(*guesses, return_exceptions=True)
    assert ends.count(False) == WAITING + 1
    assert [type(end) for end in ends[WAITING + 1 :]] == [TooManyTries] * 2
