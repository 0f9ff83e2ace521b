"""Accounts: the users that processes run as, and work on files with no more rights than one of them has.

They are looked up in a thread of their own; on the event loop, `look_up` comes before anything else.
"""

import ctypes
import os
import pwd
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from signalbox_controller.errors import NameServiceSilent
from signalbox_controller.linux.name_service import NameService

#: Seconds for a name that only people read.
NAME_WITHIN = 1.0
_LIBC = ctypes.CDLL(None, use_errno=True)


class Account(msgspec.Struct, frozen=True):
    """One user."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def _find(name: str) -> Account | None:
    try:
        entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, ValueError, OverflowError):  # the latter two: it cannot be a name, or a number, of anybody
        return None
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, groups, entry.pw_dir)


_service = NameService(_find)


def account_of(name: str) -> Account | None:
    """The account of a name, or of a number that has one; None when there is none.

    Raises:
        NameServiceSilent: it is not known, and there was no answer.
    """
    return _service.wait_for(name)


def known_account(name: str) -> Account | None:
    """The same, looked up once: a running process keeps its user, also while LDAP or the like does not answer."""
    return _service.known(name, ever=True) or account_of(name)


def are_known(names: Iterable[str]) -> bool:
    """Whether these names, as far as they are not empty, need not be looked up now."""
    return all(_service.known(name) for name in names if name)


async def look_up(names: Iterable[str]) -> None:
    """Look these names up, as far as they are not empty, so that they are known.

    Raises:
        NameServiceSilent: there was no answer.
    """
    for name in filter(None, names):
        await _service.look_up(name)


async def name_of(uid: int) -> str:
    """The name of a user, or the number where there is none, or no answer for now."""
    try:
        account = await _service.look_up(str(uid), NAME_WITHIN)
    except NameServiceSilent:
        return str(uid)
    return account.name if account else str(uid)


def user_of(pid: int) -> str:
    """The user that a process runs as: a name, or the number of one without a name; empty for our own, or none."""
    try:
        uid = Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return ""
    if uid == os.geteuid():
        return ""
    try:
        account = _service.wait_for(str(uid), NAME_WITHIN)
    except NameServiceSilent:
        return str(uid)
    return account.name if account else str(uid)


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
