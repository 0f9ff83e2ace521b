"""Routes of passwords: one's own, and, for admins, those of others. The user's other sessions end."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from signalbox.postgres.pool import Connection
from signalbox_api.answers.bodies import NewPassword, OwnPassword
from signalbox_api.answers.json_response import DoneAnswer, reply
from signalbox_api.answers.openapi import answers
from signalbox_api.auth.lines import Author
from signalbox_api.auth.throttle import too_many_tries
from signalbox_api.auth.users import change_password, find_user, has_signed_in_from, live_session_ids
from signalbox_api.errors import Conflict, NotFound, WrongPassword
from signalbox_api.routes.access import Admin, Person, author, client_address
from signalbox_api.services import Services, Wired

router = APIRouter(tags=["Passwords"])


@router.post("/session/password", summary="Change your password", responses=answers(DoneAnswer, 409, 422, 429))
async def change_own(body: OwnPassword, caller: Person, request: Request, services: Wired) -> Response:
    """Exchange your password for another; your other sessions end, this one goes on."""
    current = await _check(services, caller.name, body.current, client_address(request))
    ended = await _change(services, caller.name, body.password, author(caller, request), current, caller.id)
    if ended is None:
        raise Conflict("Your password was changed at this moment by somebody else; try again with the new one")
    return reply(DoneAnswer(message=f"Your password has been changed; {ended} other sessions have ended"))


@router.put("/scheduler/users/{name}/password/", summary="Set a password", responses=answers(DoneAnswer, 404, 422))
async def set_password(name: str, body: NewPassword, caller: Admin, request: Request, services: Wired) -> Response:
    """Give a person another password; all sessions of that person end."""
    ended = None if "\0" in name else await _change(services, name, body.password, author(caller, request))
    if ended is None:
        raise NotFound(f"There is no user called {name[:80]!r}; GET /scheduler/users/ lists them")
    return reply(DoneAnswer(message=f"User {name} has another password; {ended} sessions have ended"))


async def _check(services: Services, name: str, password: str, address: str) -> str:
    """The hash of a person's password, which this one was found to match; tries count as those to sign in."""

    async def find(connection: Connection) -> tuple[str | None, bool]:
        user = await find_user(connection, name)
        return (user.password_hash, await has_signed_in_from(connection, user, address)) if user else (None, False)

    wait = await services.throttle.count(name, address)
    stored, known = await services.accounts.read(find)
    if wait and not known:
        raise too_many_tries(wait)
    if not await services.passwords.matches(stored, password, known=known) or stored is None:
        raise WrongPassword("The current password is wrong; nothing was changed")
    await services.throttle.uncount(name, address)
    return stored


async def _change(
    services: Services, name: str, password: str, by: Author, instead_of: str | None = None, but: str = ""
) -> int | None:
    """Change a password and end the sessions of the user, `but` one; their number, None: nothing was changed.

    They end first: should this be cut off between the two, people sign in once more, and nobody stays who should not.
    """
    hashed = await services.passwords.hash(password)
    before = await services.accounts.read(lambda connection: live_session_ids(connection, name))
    await _end(services, before, but)

    async def change(connection: Connection) -> list[str] | None:
        if not await change_password(connection, name, hashed, by, instead_of=instead_of):
            return None
        return await live_session_ids(connection, name)

    found = await services.accounts.write(change)
    if found is None:
        return None
    await _end(services, found, but)  # those that began meanwhile
    return len({*before, *found} - {but})


async def _end(services: Services, sessions: list[str], but: str) -> None:
    if over := [one for one in sessions if one != but]:
        await services.directory.revoke(over)
