"""Admin routes: users and tokens."""

from collections.abc import Sequence
from contextlib import suppress

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from signalbox.errors import DatabaseUnavailable
from signalbox_api.answers.bodies import NAME_FORM, NewToken, NewUser
from signalbox_api.answers.json_response import DoneAnswer, reply
from signalbox_api.answers.openapi import answers
from signalbox_api.auth.credential import Role
from signalbox_api.auth.lines import token_changed
from signalbox_api.auth.secret import ID_FORM, mint
from signalbox_api.auth.tokens import TokenView, add_token, list_tokens, token_exists
from signalbox_api.auth.users import UserView, add_user, delete_user, find_user, list_users, live_session_ids
from signalbox_api.errors import Conflict, NotFound
from signalbox_api.record.database import FALLBACK_WAIT
from signalbox_api.record.views import cut
from signalbox_api.routes.access import ADMINS, Admin, author
from signalbox_api.services import Wired

router = APIRouter(tags=["Users and tokens"])

#: Rows of one answer.
MOST = 1000


class NewTokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was made; the only time that it is shown."""

    token: str
    token_id: str
    name: str
    role: Role


class TokenList(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens, newest first."""

    items: Sequence[TokenView]
    #: What is not listed, as a sentence; empty: nothing.
    note: str = ""


class UserList(msgspec.Struct, frozen=True, kw_only=True):
    """Users, by name."""

    items: Sequence[UserView]
    #: What is not listed, as a sentence; empty: nothing.
    note: str = ""


@router.post("/scheduler/tokens/", summary="Make a token", responses=answers(NewTokenAnswer, 422))
async def make_token(body: NewToken, caller: Admin, request: Request, services: Wired) -> Response:
    """A token for a machine; keep it safe, it cannot be shown again."""
    secret = mint("token")
    credential = await services.accounts.write(
        lambda connection: add_token(connection, secret, body.name, body.role, author(caller, request))
    )
    await services.directory.add(secret, credential)
    return reply(NewTokenAnswer(token=secret.text, token_id=secret.id, name=body.name, role=body.role))


@router.get("/scheduler/tokens/", summary="List tokens", responses=answers(TokenList), dependencies=ADMINS)
async def tokens(services: Wired) -> Response:
    """Every token with its role and maker, those that were revoked among them."""
    found = await services.accounts.read(lambda connection: list_tokens(connection, MOST + 1))
    items, note = cut(found, MOST, "tokens")
    return reply(TokenList(items=items, note=note))


@router.delete("/scheduler/tokens/{token_id}/", summary="Revoke a token", responses=answers(DoneAnswer, 404))
async def revoke_token(token_id: str, caller: Admin, request: Request, services: Wired) -> Response:
    """End a token at once and for ever, even while the database is away."""
    known = ID_FORM.fullmatch(token_id) is not None
    if known:
        with suppress(DatabaseUnavailable):  # better to revoke what is not there than to wait
            known = await services.accounts.read(lambda connection: token_exists(connection, token_id), FALLBACK_WAIT)
    if not known:
        raise NotFound(f"There is no token with the id {token_id[:80]!r}; GET /scheduler/tokens/ lists them")
    await services.directory.revoke([token_id])
    services.trail.add(token_changed(author(caller, request), token_id, "revoked"))
    return reply(DoneAnswer(message=f"Token {token_id} has been revoked"))


@router.post("/scheduler/users/", summary="Add a user", responses=answers(DoneAnswer, 409, 422))
async def make_user(body: NewUser, caller: Admin, request: Request, services: Wired) -> Response:
    """Let a person sign in."""
    hashed = await services.passwords.hash(body.password)
    added = await services.accounts.write(
        lambda connection: add_user(connection, body.name, hashed, body.role, author(caller, request))
    )
    if not added:
        raise Conflict(f"There is a user called {body.name} already; choose another name")
    return reply(DoneAnswer(message=f"User {body.name} may sign in as {body.role}"))


@router.get("/scheduler/users/", summary="List users", responses=answers(UserList), dependencies=ADMINS)
async def users(services: Wired) -> Response:
    """Everybody who may sign in."""
    found = await services.accounts.read(lambda connection: list_users(connection, MOST + 1))
    items, note = cut(found, MOST, "users")
    return reply(UserList(items=items, note=note))


@router.delete("/scheduler/users/{name}/", summary="Remove a user", responses=answers(DoneAnswer, 404, 409))
async def remove_user(name: str, caller: Admin, request: Request, services: Wired) -> Response:
    """Let a person sign in no more, and end the person's sessions at once."""
    if caller.issuer == f"user:{name}":
        raise Conflict("You cannot remove yourself; ask another admin")
    if not NAME_FORM.fullmatch(name) or not await services.accounts.read(
        lambda connection: find_user(connection, name)
    ):
        raise NotFound(f"There is no user called {name[:80]!r}; GET /scheduler/users/ lists them")
    sessions = await services.accounts.read(lambda connection: live_session_ids(connection, name))
    await services.directory.revoke(sessions)
    begun = await services.accounts.write(lambda connection: delete_user(connection, name, author(caller, request)))
    if begun:  # while the others were ended
        await services.directory.revoke(begun)
    sessions += begun
    return reply(DoneAnswer(message=f"User {name} has been removed, and {len(sessions)} sessions with it"))
