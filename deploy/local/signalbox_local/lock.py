"""Lock on the data folder: one run at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from signalbox_local.errors import FolderInUse, LocalError


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold `folder` (made if missing, 0700) while the body runs.

    The kernel drops the lock with the process, so a run that was killed never blocks the next one.

    Raises:
        FolderInUse: another run holds it.
        LocalError: the folder cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise LocalError(f"cannot write to the data folder {folder}: {error.strerror}; set SIGNALBOX_DATA") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode().strip() or "unknown"
            raise FolderInUse(
                f"Signalbox already runs on {folder} (process {holder});"
                " stop it, or set SIGNALBOX_DATA and SIGNALBOX_PORT to run another one beside it"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
