"""API tokens in PostgreSQL."""

from datetime import datetime

import msgspec

from signalbox.postgres.pool import Connection
from signalbox.trail.append import append
from signalbox_api.auth.credential import Credential, Role
from signalbox_api.auth.lines import Author, token_changed
from signalbox_api.auth.secret import Secret


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """Token as admins see it; the secret itself is shown once, when it is made."""

    token_id: str
    name: str
    role: Role
    created_at: datetime
    created_by: str
    revoked_at: datetime | None


async def add_token(connection: Connection, secret: Secret, name: str, role: Role, by: Author) -> Credential:
    """Store a new token, and a line of the trail; others may have the same name."""
    await connection.execute(
        "INSERT INTO api_tokens (token_id, name, digest, role, created_by) VALUES ($1, $2, $3, $4, $5)",
        *(secret.id, name, secret.digest, role, by.name),
    )
    await append(connection, token_changed(by, secret.id, "made", name, role))
    return Credential(kind="token", id=secret.id, name=name, role=role)


async def live_token_ids(connection: Connection, name: str) -> list[str]:
    """The ids of the live tokens of that name."""
    rows = await connection.fetch("SELECT token_id FROM api_tokens WHERE name = $1 AND revoked_at IS NULL", name)
    return [row["token_id"] for row in rows]


async def list_tokens(connection: Connection, limit: int) -> list[TokenView]:
    """The newest tokens first, those that were revoked among them."""
    rows = await connection.fetch(
        """
        SELECT token_id, name, role, created_at, created_by, revoked_at
        FROM api_tokens ORDER BY created_at DESC, token_id LIMIT $1
        """,
        limit,
    )
    return [msgspec.convert(dict(row), TokenView) for row in rows]


async def token_exists(connection: Connection, token_id: str) -> bool:
    """Whether there is, or was, such a token."""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM api_tokens WHERE token_id = $1)", token_id))
