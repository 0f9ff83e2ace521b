"""Credentials in PostgreSQL: sessions and tokens alike, found by digest and revoked by id."""

from collections.abc import Sequence

import msgspec

from signalbox.postgres.pool import Connection, Row
from signalbox_api.auth.credential import Credential

#: Every live credential.
_LIVE = """
SELECT digest, kind, id, name, role, csrf, expires_at FROM (
    SELECT digest, 'token' AS kind, token_id AS id, name, role, '' AS csrf, NULL::timestamptz AS expires_at
    FROM api_tokens WHERE revoked_at IS NULL
    UNION ALL
    SELECT digest, 'session', session_id, users.name, users.role, csrf, expires_at
    FROM sessions JOIN users USING (user_id) WHERE revoked_at IS NULL AND expires_at > now()
) AS live
"""

#: Days for which a revoked token or an expired session stays in the tables.
KEEP_DAYS = 90


async def find_credential(connection: Connection, digest: str) -> Credential | None:
    """The live credential with this digest."""
    row = await connection.fetchrow(f"{_LIVE} WHERE digest = $1", digest)
    return _credential(row) if row else None


async def live_credentials(connection: Connection) -> dict[str, Credential]:
    """All live credentials, by digest."""
    return {row["digest"]: _credential(row) for row in await connection.fetch(_LIVE)}


async def revoke_credentials(connection: Connection, ids: Sequence[str]) -> list[str]:
    """Revoke credentials; return the digests of those that exist, revoked now or earlier."""
    rows = await connection.fetch(
        """
        WITH tokens AS (
            UPDATE api_tokens SET revoked_at = coalesce(revoked_at, now()) WHERE token_id = ANY($1) RETURNING digest
        ), ended AS (
            UPDATE sessions SET revoked_at = coalesce(revoked_at, now()) WHERE session_id = ANY($1) RETURNING digest
        )
        SELECT digest FROM tokens UNION ALL SELECT digest FROM ended
        """,
        list(ids),
    )
    return [row["digest"] for row in rows]


async def forget_old_credentials(connection: Connection) -> None:
    """Delete credentials that ended KEEP_DAYS ago."""
    await connection.execute("DELETE FROM sessions WHERE expires_at < now() - make_interval(days => $1)", KEEP_DAYS)
    await connection.execute("DELETE FROM api_tokens WHERE revoked_at < now() - make_interval(days => $1)", KEEP_DAYS)


def _credential(row: Row) -> Credential:
    return msgspec.convert({name: row[name] for name in Credential.__struct_fields__}, Credential)
