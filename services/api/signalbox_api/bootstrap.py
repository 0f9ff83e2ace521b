"""Bootstrap: `python -m signalbox_api.bootstrap --user admin` makes the api's tables, the first admin and a token.

Run by `make up` before the api, and harmless when run again: the admin gets the password of SIGNALBOX_ADMIN_PASSWORD,
and the token, which is named "local", is replaced by a new one. Prints {"token": …} as JSON.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import aclosing

from signalbox.bus.connection import connect
from signalbox.errors import SettingsError, SignalboxError
from signalbox.postgres.migrate import migrate
from signalbox.postgres.pool import Database, open_database
from signalbox.settings import Settings
from signalbox_api.auth.directory import Directory
from signalbox_api.auth.mirror import Mirror
from signalbox_api.auth.passwords import SHORTEST, Passwords
from signalbox_api.auth.secret import mint
from signalbox_api.auth.tokens import add_token, live_token_ids
from signalbox_api.auth.users import add_user, change_user, find_user, live_session_ids
from signalbox_api.record.database import DatabaseHealth, QueryPool

#: The name of the token that the command line on this machine uses.
LOCAL = "local"
_BY = "service:bootstrap"


async def bootstrap(settings: Settings, user: str, password: str) -> str:
    """Make tables, admin and token; return the token.

    Raises:
        SignalboxError: PostgreSQL or Redis is away, or a migration failed.
    """
    async with (
        aclosing(connect(settings.redis_url)) as redis,
        open_database(settings.database_url, connections=2, application="signalbox bootstrap") as database,
    ):
        await migrate(database, "api", "signalbox_api.migrations")
        directory = Directory(Mirror(redis), QueryPool(database, DatabaseHealth(database)))
        secret = mint("token")
        changed = await _admin(database, user, password)
        async with database.connection() as connection:
            over = await live_token_ids(connection, LOCAL)
            if changed:
                over += await live_session_ids(connection, user)
            credential = await add_token(connection, secret, LOCAL, "admin", _BY)
        await directory.add(secret, credential)
        await directory.revoke(over)
        return secret.text


async def _admin(database: Database, user: str, password: str) -> bool:
    """Make the admin, or give it this password; return whether it had another one before."""
    passwords = Passwords()
    async with database.connection() as connection:
        known = await find_user(connection, user)
        if known and known.role == "admin" and await passwords.matches(known.password_hash, password):
            return False
        hashed = await passwords.hash(password)
        added = await add_user(connection, user, hashed, "admin", _BY)
        if not added:
            await change_user(connection, user, hashed, "admin")
        return not added


def _password(environ: Mapping[str, str]) -> str:
    password = environ.get("SIGNALBOX_ADMIN_PASSWORD", "")
    if len(password) < SHORTEST:
        raise SettingsError(f"SIGNALBOX_ADMIN_PASSWORD must be a password of at least {SHORTEST} characters")
    return password


def main() -> None:
    """Read the settings, run the bootstrap, print the token; exit code 1 with a sentence when it failed."""
    parser = argparse.ArgumentParser(prog="signalbox_api.bootstrap", description=__doc__)
    parser.add_argument("--user", default="admin", help="the name of the first admin (admin)")
    user = parser.parse_args().user
    try:
        token = asyncio.run(bootstrap(Settings.from_env(), user, _password(os.environ)))
    except SignalboxError as error:
        sys.exit(f"bootstrap: {error}")
    sys.stdout.write(json.dumps({"token": token}) + "\n")


if __name__ == "__main__":
    main()
