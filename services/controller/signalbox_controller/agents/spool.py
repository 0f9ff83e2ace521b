"""The spool of a worker: the events that it wrote to disk while no controller was there; read once it is gone."""

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from signalbox.errors import UnreadableMessage
from signalbox_agent.link import spool
from signalbox_controller.agents.connection import LINE_LIMIT
from signalbox_controller.agents.protocol import AgentLine, decode
from signalbox_controller.linux.accounts import acting_as_owner_of

log = logging.getLogger(__name__)


def path_of(socket: Path, instance: str) -> Path:
    """The path of this launch's spool; `socket` is the one that its agent connects to."""
    return Path(spool.path_of(str(socket), instance))


def read(path: Path) -> Iterator[AgentLine]:
    """The lines of a spool, in order; one that was cut off by the worker's death is left out."""
    try:
        with _open(path) as file:
            while line := file.readline(LINE_LIMIT):
                try:
                    yield decode(line)
                except UnreadableMessage as error:
                    log.warning("%s: a line is unreadable, as its writer died over it: %s", path, error)
    except FileNotFoundError:
        return
    except OSError as error:
        log.error("%s cannot be read: %s; what happened while we were away is not all known", path, error)  # noqa: TRY400


def forget(path: Path) -> None:
    """Remove a spool whose events are published."""
    with contextlib.suppress(OSError), acting_as_owner_of(path.parent):
        path.unlink(missing_ok=True)


def _open(path: Path) -> IO[bytes]:
    """Open it with no more rights than the user has whose worker wrote it; there may be a pipe or a device instead."""
    with acting_as_owner_of(path.parent):
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "no regular file")
    return file
