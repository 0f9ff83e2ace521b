"""Privileges of a program that refuses root, when this process is root.

The program gets an ordinary user id, and CAP_DAC_OVERRIDE as its only capability, so that it may pass
through folders closed to others (/root is 0700) to its binaries and data. setpriv(1) is in util-linux,
which Debian marks essential.
"""

import os
import shutil
from pathlib import Path

from signalbox_local.errors import MissingProgram

_NOBODY = 65_534
_CAP_DAC_OVERRIDE = 1


def prefix(owner: int, death_signal: str) -> list[str]:
    """The prefix of a command that runs it as `owner`; empty unless this process is root.

    `death_signal` (as in "INT") is set here again, because a change of user clears it.
    """
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise MissingProgram(
            "PostgreSQL refuses to run as root, and setpriv, which would run it as nobody, is not on the PATH;"
            " install util-linux, run as an ordinary user, or set DATABASE_URL"
        )
    command = [setpriv, f"--reuid={owner}", f"--regid={owner}", "--clear-groups", f"--pdeathsig={death_signal}"]
    if _may_override():
        command += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return command


def own(folder: Path) -> int:
    """Make sure that an ordinary user owns `folder` (made if missing, 0700); that user's id.

    An existing owner other than root is kept, so that this user can start it later without root.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = folder.stat().st_uid
    if os.geteuid() == 0 and owner == 0:
        os.chown(folder, _NOBODY, _NOBODY)
        return _NOBODY
    return owner


def _may_override() -> bool:
    """Whether this process has the capability; a container may have taken it from root."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "CapPrm":
            return bool(int(value, 16) >> _CAP_DAC_OVERRIDE & 1)
    return False
