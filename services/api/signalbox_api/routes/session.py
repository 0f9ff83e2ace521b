"""Session routes: sign in, sign out, who is signed in."""

import secrets
from datetime import timedelta
from typing import Annotated, Literal, TypedDict

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from signalbox.messages.base import utc_now
from signalbox.postgres.pool import Connection
from signalbox_api.answers.bodies import SignIn
from signalbox_api.answers.json_response import DoneAnswer, reply
from signalbox_api.answers.openapi import answers
from signalbox_api.auth.credential import Credential, Role
from signalbox_api.auth.lines import signed_out
from signalbox_api.auth.secret import Secret, mint
from signalbox_api.auth.throttle import too_many_tries
from signalbox_api.auth.users import User, add_session, find_user, has_signed_in_from
from signalbox_api.errors import NotSignedIn, NoUserYet
from signalbox_api.routes.access import (
    author,
    client_address,
    cookie_names,
    forged,
    identify,
    is_secure,
    note_caller,
    same_origin,
)
from signalbox_api.services import Services, Wired

router = APIRouter(tags=["Session"])

#: Hours until a browser must sign in again.
SESSION_HOURS = 12
_CSRF_BYTES = 32

Anyone = Annotated[Credential, Depends(identify)]


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A user, or a token."""

    name: str
    role: Role


class SessionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Session of the caller."""

    user: Person
    #: What to send as X-CSRF-Token with whatever changes something; empty for tokens.
    csrf: str


@router.post("/session", summary="Sign in", responses=answers(SessionAnswer, 422, 429))
async def sign_in(body: SignIn, request: Request, services: Wired) -> Response:
    """Exchange a name and a password for a session cookie, valid for twelve hours."""
    note_caller(request, "a user who is not known")
    if not same_origin(request):
        raise forged(request, "This sign-in")
    address = client_address(request)
    wait = await services.throttle.count(body.username, address)
    user, known = await services.accounts.read(lambda connection: _find(connection, body.username, address))
    if user:
        note_caller(request, f"user:{user.name}")
    if wait and not known:
        raise too_many_tries(wait)
    right = await services.passwords.matches(user.password_hash if user else None, body.password, known=known)
    if user is None and not await services.directory.has_users():
        raise NoUserYet
    if user is None or not right:
        raise NotSignedIn("The name or the password is wrong")
    await services.throttle.uncount(body.username, address)
    secret, credential = await _begin(services, user, address)
    answer = _answer(credential)
    session, csrf = cookie_names(request, services.root_path)
    for cookie, value in ((session, secret.text), (csrf, credential.csrf)):
        age = SESSION_HOURS * 3600
        answer.set_cookie(cookie, value, max_age=age, httponly=cookie == session, **_reach(request, services))
    return answer


@router.get("/session", summary="Who is signed in", responses=answers(SessionAnswer))
async def who(caller: Anyone) -> Response:
    """The user or token that asks."""
    return _answer(caller)


@router.delete("/session", summary="Sign out", responses=answers(DoneAnswer))
async def sign_out(caller: Anyone, request: Request, services: Wired) -> Response:
    """End the session, everywhere and for ever."""
    if caller.kind != "session":
        raise NotSignedIn("A token has no session to end; an admin can revoke it")
    await services.directory.revoke([caller.id])
    services.trail.add(signed_out(author(caller, request), caller.id))
    answer = reply(DoneAnswer(message="You are signed out"))
    for cookie in cookie_names(request, services.root_path):
        answer.delete_cookie(cookie, **_reach(request, services))
    return answer


async def _find(connection: Connection, name: str, address: str) -> tuple[User | None, bool]:
    """The user of that name, and whether it has signed in from there before."""
    user = await find_user(connection, name)
    return user, user is not None and await has_signed_in_from(connection, user, address)


async def _begin(services: Services, user: User, address: str) -> tuple[Secret, Credential]:
    secret = mint("session")
    credential = Credential(
        kind="session",
        id=secret.id,
        name=user.name,
        role=user.role,
        csrf=secrets.token_urlsafe(_CSRF_BYTES),
        expires_at=utc_now() + timedelta(hours=SESSION_HOURS),
    )
    if not await services.accounts.write(lambda connection: add_session(connection, user, secret, credential, address)):
        raise NotSignedIn("You were removed or changed at this moment; sign in again")
    await services.directory.add(secret, credential)
    return secret, credential


def _answer(credential: Credential) -> Response:
    person = Person(name=credential.name, role=credential.role)
    return reply(SessionAnswer(user=person, csrf=credential.csrf))


class _Reach(TypedDict):
    """Requests that a cookie goes with."""

    path: str
    samesite: Literal["strict"]
    secure: bool


def _reach(request: Request, services: Services) -> _Reach:
    return _Reach(path=services.root_path or "/", samesite="strict", secure=is_secure(request))
