"""Credential of a caller: its name, its role, and its expiry."""

from datetime import datetime
from typing import Literal, get_args

import msgspec

from signalbox.messages.base import utc_now
from signalbox_api.auth.secret import Kind

#: viewer: look. operator: also cancel, stop and start. admin: also users and tokens.
Role = Literal["viewer", "operator", "admin"]

_ORDER: tuple[Role, ...] = get_args(Role)


def allows(role: Role, needed: Role) -> bool:
    """Whether `role` includes `needed`; each may do all that the ones before it may."""
    return _ORDER.index(role) >= _ORDER.index(needed)


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A live session or API token."""

    kind: Kind
    #: The public name of the secret.
    id: str
    #: The user's or the token's.
    name: str
    role: Role
    #: What a browser must send along to change anything; empty for tokens.
    csrf: str = ""
    expires_at: datetime | None = None

    @property
    def issuer(self) -> str:
        """The caller's name on the audit trail."""
        return f"{'user' if self.kind == 'session' else 'token'}:{self.name}"

    @property
    def expired(self) -> bool:
        """Whether the credential has expired."""
        return self.expires_at is not None and self.expires_at <= utc_now()
