"""The spool of a worker: the events that it wrote to disk while no controller was there; read once it is gone."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from signalbox.errors import UnreadableMessage
from signalbox_agent.link import spool
from signalbox_controller.agents.protocol import AgentLine, decode

log = logging.getLogger(__name__)


def path_of(socket: Path, instance: str) -> Path:
    """The path of this launch's spool; `socket` is the one that its agent connects to."""
    return Path(spool.path_of(str(socket), instance))


def read(path: Path) -> Iterator[AgentLine]:
    """The lines of a spool, in order; one that was cut off by the worker's death is left out."""
    try:
        with path.open("rb") as file:
            for line in file:
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
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
