"""Users and their sessions in PostgreSQL."""

from datetime import datetime

import msgspec

from signalbox.postgres.pool import Connection
from signalbox.trail.append import append
from signalbox_api.auth.credential import Credential, Role
from signalbox_api.auth.lines import Author, password_changed, signed_in, user_changed
from signalbox_api.auth.secret import Secret
from signalbox_api.sources import source_of

#: Addresses of a user that count as known.
MOST_ADDRESSES = 500


class User(msgspec.Struct, frozen=True, kw_only=True):
    """User who signs in with a password."""

    user_id: int
    name: str
    role: Role
    password_hash: str


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """A user as admins see it."""

    name: str
    role: Role
    created_at: datetime
    created_by: str


async def find_user(connection: Connection, name: str) -> User | None:
    """The user of that name."""
    row = await connection.fetchrow("SELECT user_id, name, role, password_hash FROM users WHERE name = $1", name)
    return msgspec.convert(dict(row), User) if row else None


async def has_signed_in_from(connection: Connection, user: User, address: str) -> bool:
    """Whether a session of this user began in the network of this address, as far back as sessions are kept."""
    newest_first = """
    SELECT address FROM sessions WHERE user_id = $1 GROUP BY address ORDER BY max(created_at) DESC LIMIT $2
    """
    rows = await connection.fetch(newest_first, user.user_id, MOST_ADDRESSES)
    return source_of(address) in {source_of(row["address"]) for row in rows}


async def any_user(connection: Connection) -> bool:
    """Whether there is a user at all."""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM users)"))


async def add_user(connection: Connection, name: str, password_hash: str, role: Role, by: Author) -> bool:
    """Store a new user, and a line of the trail; False when the name is taken."""
    insert = "INSERT INTO users (name, password_hash, role, created_by) VALUES ($1, $2, $3, $4)"
    statement = f"{insert} ON CONFLICT (name) DO NOTHING RETURNING true"
    added = bool(await connection.fetchval(statement, name, password_hash, role, by.name))
    if added:
        await append(connection, user_changed(by, name, "added", role))
    return added


async def change_user(connection: Connection, name: str, password_hash: str, role: Role, by: Author) -> None:
    """Give a user another password and role, and the trail a line."""
    await connection.execute(
        "UPDATE users SET password_hash = $2, role = $3 WHERE name = $1", name, password_hash, role
    )
    await append(connection, user_changed(by, name, "changed", role))


async def change_password(
    connection: Connection, name: str, password_hash: str, by: Author, *, instead_of: str | None = None
) -> bool:
    """Give a user another password; False: there is no such user, or its hash is no longer `instead_of`.

    No session begins with the old password while this transaction is open; see `add_session`.
    """
    stored = await connection.fetchval("SELECT password_hash FROM users WHERE name = $1 FOR UPDATE", name)
    if stored is None or instead_of not in {None, stored}:
        return False
    await connection.execute("UPDATE users SET password_hash = $2 WHERE name = $1", name, password_hash)
    await append(connection, password_changed(by, name))
    return True


async def delete_user(connection: Connection, name: str, by: Author) -> list[str]:
    """Remove a user, and the user's sessions with it; the trail gets a line. Returns the ids of those sessions.

    No session begins while this transaction is open; see `add_session`.
    """
    await connection.execute("SELECT FROM users WHERE name = $1 FOR UPDATE", name)
    sessions = await live_session_ids(connection, name)
    await connection.execute("DELETE FROM users WHERE name = $1", name)
    await append(connection, user_changed(by, name, "removed"))
    return sessions


async def list_users(connection: Connection, limit: int) -> list[UserView]:
    """All users by name."""
    rows = await connection.fetch("SELECT name, role, created_at, created_by FROM users ORDER BY name LIMIT $1", limit)
    return [msgspec.convert(dict(row), UserView) for row in rows]


async def add_session(connection: Connection, user: User, secret: Secret, credential: Credential, address: str) -> bool:
    """Store a new session, and a line of the trail; False: the user was removed or changed since it was read.

    The row of the user is locked, so that whoever changes or removes the user waits for this, and finds the session; or
    this waits, and finds the change.
    """
    same = "SELECT true FROM users WHERE user_id = $1 AND password_hash = $2 AND role = $3 FOR SHARE"
    if not await connection.fetchval(same, user.user_id, user.password_hash, user.role):
        return False
    await connection.execute(
        "INSERT INTO sessions (session_id, user_id, digest, csrf, address, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
        *(secret.id, user.user_id, secret.digest, credential.csrf, address, credential.expires_at),
    )
    await append(connection, signed_in(user.name, user.role, secret.id, address))
    return True


async def live_session_ids(connection: Connection, name: str) -> list[str]:
    """The ids of a user's live sessions."""
    rows = await connection.fetch(
        """
        SELECT session_id FROM sessions JOIN users USING (user_id)
        WHERE users.name = $1 AND revoked_at IS NULL AND expires_at > now()
        """,
        name,
    )
    return [row["session_id"] for row in rows]
