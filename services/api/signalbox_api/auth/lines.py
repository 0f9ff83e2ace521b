"""Lines of the trail about users, tokens and sessions; pure."""

from collections.abc import Mapping
from typing import NamedTuple

from signalbox.trail.append import NewLine
from signalbox_api.auth.credential import Role


class Author(NamedTuple):
    """Who changes something."""

    #: As in `user:alice`.
    name: str
    #: The network address that the request came from; empty: none did.
    address: str = ""


def user_changed(by: Author, name: str, outcome: str, role: Role | None = None) -> NewLine:
    """A user was added, changed or removed."""
    details = {} if role is None else {"role": role}
    return _line("user", by, f"user:{name}", outcome, details)


def password_changed(by: Author, name: str) -> NewLine:
    """A user has another password."""
    return _line("user", by, f"user:{name}", "password changed", {})


def token_changed(by: Author, token_id: str, outcome: str, name: str = "", role: Role | None = None) -> NewLine:
    """A token was made or revoked."""
    details = {"name": name, "role": role} if role else {}
    return _line("token", by, f"token {token_id}", outcome, details)


def signed_in(name: str, role: Role, session_id: str, address: str) -> NewLine:
    """A user has signed in."""
    return _line("sign-in", Author(f"user:{name}", address), f"session {session_id}", "signed in", {"role": role})


def signed_out(by: Author, session_id: str) -> NewLine:
    """A user has signed out."""
    return _line("sign-out", by, f"session {session_id}", "signed out", {})


def _line(kind: str, by: Author, about: str, outcome: str, details: Mapping[str, str]) -> NewLine:
    return NewLine(kind=kind, who=by.name, address=by.address, about=about, details=details, outcome=outcome)
