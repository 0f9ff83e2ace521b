"""Bootstrap: `python -m signalbox_api.bootstrap --user admin` makes the api's tables, the first admin and a token.

Run by `make up` and `signalbox setup` before the api, and harmless when run again. It waits for a reconciler that is
making its tables. With SIGNALBOX_ADMIN_PASSWORD the admin gets that password; without it, one that is made up, unless
there are users already. The token, by default named "local", replaces the one of that name. Prints
{"token": …, "user": …, "password": …} as JSON.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import aclosing
from secrets import token_urlsafe

import msgspec

from signalbox.bus.connection import bus_errors, connect
from signalbox.errors import DatabaseUnavailable, SettingsError, SignalboxError
from signalbox.postgres.migrate import migrate
from signalbox.postgres.pool import Database, open_database
from signalbox.service import Backoff
from signalbox.settings import Settings
from signalbox.trail.append import append_all, has_trail
from signalbox_api.auth.directory import Directory
from signalbox_api.auth.lines import Author, token_changed
from signalbox_api.auth.mirror import Mirror
from signalbox_api.auth.passwords import SHORTEST, Passwords
from signalbox_api.auth.secret import mint
from signalbox_api.auth.tables import MIGRATIONS, SERVICE
from signalbox_api.auth.tokens import add_token, live_token_ids
from signalbox_api.auth.users import add_user, any_user, change_user, find_user, live_session_ids
from signalbox_api.record.database import DatabaseHealth, QueryPool

#: The name of the token that the command line on this machine uses.
LOCAL = "local"
#: Random bytes of a password that is made up.
PASSWORD_BYTES = 18
_BY = Author("service:bootstrap")
#: Seconds to wait for a reconciler that has just been started.
RECONCILER_WITHIN = 30.0


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What the bootstrap has made; printed as JSON."""

    token: str
    #: The user that has been made, or has been given its password; none: there are users already.
    user: str | None = None
    #: The password, where it was made up here: it is shown this once.
    password: str | None = None


async def bootstrap(settings: Settings, user: str, password: str, token_name: str = LOCAL) -> str:
    """Make tables, the admin `user` with this password, and a token; return the token.

    Raises:
        SignalboxError: PostgreSQL or Redis is away, or a migration failed.
    """
    return (await make_first(settings, user, password, token_name)).token


async def make_first(settings: Settings, user: str, password: str | None, token_name: str) -> Made:
    """The same; without a password a user is made only if there is none, with one that is made up.

    Raises:
        SignalboxError: as above.
    """
    async with (
        aclosing(connect(settings.redis_url)) as redis,
        open_database(settings.database_url, connections=2, application="signalbox bootstrap") as database,
    ):
        async with bus_errors(redis):
            await redis.ping()
        await migrate(database, SERVICE, MIGRATIONS)
        await _until_there_is_a_trail(database)
        made_up = None if password or await _has_users(database) else token_urlsafe(PASSWORD_BYTES)
        directory = Directory(Mirror(redis), QueryPool(database, DatabaseHealth(database)))
        secret = mint("token")
        changed = bool(password or made_up) and await _admin(database, user, password or made_up or "")
        async with database.transaction() as connection:
            over = await live_token_ids(connection, token_name)
            await append_all(connection, [token_changed(_BY, token_id, "revoked") for token_id in over])
            if changed:
                over += await live_session_ids(connection, user)
            credential = await add_token(connection, secret, token_name, "admin", _BY)
        await directory.add(secret, credential)
        await directory.revoke(over)
    return Made(token=secret.text, user=user if password or made_up else None, password=made_up)


async def _until_there_is_a_trail(database: Database) -> None:
    """Wait for the tables of the reconciler: no user is made who is not on the trail."""
    backoff = Backoff(0.05, 1.0)
    try:
        async with asyncio.timeout(RECONCILER_WITHIN):
            while not await _has_trail(database):
                await backoff.pause()
    except TimeoutError as error:
        raise DatabaseUnavailable(
            "The record has no tables yet: start signalbox-reconciler, or run `signalbox setup`"
        ) from error


async def _has_trail(database: Database) -> bool:
    async with database.connection() as connection:
        return await has_trail(connection)


async def _has_users(database: Database) -> bool:
    async with database.connection() as connection:
        return await any_user(connection)


async def _admin(database: Database, user: str, password: str) -> bool:
    """Make the admin, or give it this password; return whether it had another one before."""
    passwords = Passwords()
    async with database.transaction() as connection:
        known = await find_user(connection, user)
        if known and known.role == "admin" and await passwords.matches(known.password_hash, password):
            return False
        hashed = await passwords.hash(password)
        added = await add_user(connection, user, hashed, "admin", _BY)
        if not added:
            await change_user(connection, user, hashed, "admin", _BY)
        return not added


def _password(environ: Mapping[str, str]) -> str | None:
    password = environ.get("SIGNALBOX_ADMIN_PASSWORD")
    if password is not None and len(password) < SHORTEST:
        raise SettingsError(f"SIGNALBOX_ADMIN_PASSWORD must be a password of at least {SHORTEST} characters")
    return password


def main() -> None:
    """Read the settings, run the bootstrap, print what was made; exit code 1 with a sentence when it failed."""
    parser = argparse.ArgumentParser(prog="signalbox_api.bootstrap", description=__doc__)
    parser.add_argument("--user", default="admin", help="the name of the first admin (admin)")
    parser.add_argument("--token", default=LOCAL, help=f"the name of the token ({LOCAL})")
    given = parser.parse_args()
    try:
        made = asyncio.run(make_first(Settings.from_env(), given.user, _password(os.environ), given.token))
    except SignalboxError as error:
        sys.exit(f"bootstrap: {error}")
    sys.stdout.write(msgspec.json.encode(made).decode() + "\n")


if __name__ == "__main__":
    main()
