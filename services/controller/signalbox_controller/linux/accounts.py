"""Accounts: the users that processes run as, and work on files with no more rights than one of them has."""

import ctypes
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

#: By name.
_known: dict[str, "Account"] = {}
_LIBC = ctypes.CDLL(None, use_errno=True)


class Account(msgspec.Struct, frozen=True):
    """One user."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def account_of(name: str) -> Account | None:
    """The account of a name, or of a number that has one; None when there is none."""
    try:
        entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, ValueError, OverflowError):  # the latter two: it cannot be a name, or a number, of anybody
        return None
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, groups, entry.pw_dir)


def known_account(name: str) -> Account | None:
    """The same, looked up once: a running process keeps its user, also while LDAP or the like does not answer."""
    account = _known.get(name) or account_of(name)
    if account is not None:
        _known[name] = account
    return account


def user_of(pid: int) -> str:
    """The user that a process runs as: a name, or the number of one without a name; empty for our own, or none."""
    try:
        uid = Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return ""
    if uid == os.geteuid():
        return ""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@contextmanager
def acting_as_owner_of(folder: Path) -> Iterator[None]:
    """Look at files, and write them, with the rights of the folder's owner (setfsuid(2)), if that is somebody else.

    What another user may write can be a link to whatever that user may not: root would follow it. It is true of this
    thread only, and nothing may be awaited meanwhile.
    """
    found = folder.stat() if folder.exists() else None
    if found is None or found.st_uid == os.geteuid():
        yield
        return
    gid, uid = _LIBC.setfsgid(found.st_gid), _LIBC.setfsuid(found.st_uid)
    try:
        yield
    finally:
        _LIBC.setfsuid(uid)
        _LIBC.setfsgid(gid)
