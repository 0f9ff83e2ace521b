"""The three roles, each of which may do all that the ones before it may."""

from typing import Literal, get_args

#: viewer: look. operator: also cancel, stop and start. admin: also users and tokens.
Role = Literal["viewer", "operator", "admin"]

_ORDER: tuple[Role, ...] = get_args(Role)


def allows(role: Role, needed: Role) -> bool:
    """Whether `role` includes `needed`."""
    return _ORDER.index(role) >= _ORDER.index(needed)
