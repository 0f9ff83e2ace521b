"""PostgreSQL cluster on disk: created whole or not at all, and cleared of what a crash left."""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

from signalbox_local.errors import LocalError
from signalbox_local.processes.child import Child
from signalbox_local.secret import write_private
from signalbox_local.stores import privileges

_BUILTIN_LOCALE_SINCE = 17
#: Seconds; it takes one or two, and a machine with much else to do a hundred times as long.
CREATE_TIMEOUT = 300.0


def exists(folder: Path) -> bool:
    """Whether there is a cluster in `folder`."""
    try:
        return (folder / "PG_VERSION").exists()
    except PermissionError as error:
        raise LocalError(
            f"{folder} belongs to another user; run as that user or as root, or set SIGNALBOX_DATA"
        ) from error


async def create(data: Path, folder: Path, programs: Path, user: str, password: str, *, sync: bool) -> None:
    """Create a cluster in a draft folder and rename that at the end, so that an incomplete one is never used.

    Raises:
        DidNotStart: initdb failed, or took too long; the text has its last lines.
    """
    initdb = Child("initdb", data)
    await initdb.end_leftover()
    draft = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    owner = privileges.own(draft)
    password_file = folder.with_name(f"{folder.name}.password")
    write_private(password_file, password)
    if os.geteuid() == 0:
        os.chown(password_file, owner, owner)
    command = [*privileges.prefix(owner, "KILL"), str(programs / "initdb"), "-D", str(draft), "-U", user]
    command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8", *_locale(programs)]
    initdb.start([*command, *([] if sync else ["--no-sync"])])
    try:
        async with asyncio.timeout(CREATE_TIMEOUT):
            await initdb.exited()
    except TimeoutError:
        raise initdb.failure(f"did not create a PostgreSQL cluster in {draft} within {CREATE_TIMEOUT:g} s") from None
    finally:
        await initdb.stop()
        password_file.unlink()
    if initdb.exit_code != 0:
        raise initdb.failure(f"could not create a PostgreSQL cluster in {draft} (exit code {initdb.exit_code})")
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
    version = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+", version.stdout)
    if found and int(found[0]) >= _BUILTIN_LOCALE_SINCE:
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    return ["--no-locale"]
