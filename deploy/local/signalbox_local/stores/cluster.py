"""PostgreSQL cluster on disk: created whole or not at all, and cleared of what a crash left."""

import os
import shutil
import subprocess
from pathlib import Path

from signalbox_local.errors import DidNotStart, LocalError
from signalbox_local.secret import write_private
from signalbox_local.stores import privileges

_BUILTIN_LOCALE_SINCE = 17


def exists(folder: Path) -> bool:
    """Whether there is a cluster in `folder`."""
    try:
        return (folder / "PG_VERSION").exists()
    except PermissionError as error:
        raise LocalError(
            f"{folder} belongs to another user; run as that user or as root, or set SIGNALBOX_DATA"
        ) from error


def create(folder: Path, programs: Path, user: str, password: str, *, sync: bool) -> None:
    """Create a cluster in a draft folder and rename that at the end, so that an incomplete one is never used.

    Raises:
        DidNotStart: initdb failed; the text has its reason.
    """
    draft = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    owner = privileges.own(draft)
    password_file = folder.with_name(f"{folder.name}.password")
    write_private(password_file, password)
    if os.geteuid() == 0:
        os.chown(password_file, owner, owner)
    command = [*privileges.prefix(owner, "KILL"), str(programs / "initdb"), "-D", str(draft), "-U", user]
    command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8", *_locale(programs)]
    command += [] if sync else ["--no-sync"]
    try:
        made = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    finally:
        password_file.unlink()
    if made.returncode != 0:
        detail = (made.stderr or made.stdout).decode(errors="replace").strip()
        raise DidNotStart(f"initdb could not create a PostgreSQL cluster in {draft}:\n{detail}")
    draft.rename(folder)


def forget_dead_postmaster(folder: Path) -> None:
    """Remove a `postmaster.pid` whose process is gone.

    PostgreSQL does so itself, except when the pid now belongs to another process of the same user. The
    working folder of a live postmaster is its cluster.

    Raises:
        LocalError: a PostgreSQL that is none of ours runs on the cluster.
    """
    file = folder / "postmaster.pid"
    try:
        pid = int(file.read_text().split("\n", 1)[0])
        at = Path(f"/proc/{pid}/cwd").resolve(strict=True)
    except ValueError:
        return
    except OSError:
        at = None
    if at == folder.resolve():
        raise LocalError(f"another PostgreSQL (process {pid}) runs on {folder}; stop it first")
    file.unlink(missing_ok=True)


def _locale(programs: Path) -> list[str]:
    """Unicode without depending on the locales of this machine, where the version knows how (17 and later)."""
    version = subprocess.run(
        [programs / "postgres", "--version"], capture_output=True, text=True, timeout=10, check=True
    )
    major = version.stdout.split()[2].split(".")[0]
    if major.isdigit() and int(major) >= _BUILTIN_LOCALE_SINCE:
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    return ["--no-locale"]
