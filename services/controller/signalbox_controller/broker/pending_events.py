"""What is still to be told of dead workers, on disk until Redis has it: a controller that dies could not tell it."""

import contextlib
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from signalbox.messages.events import AnyEvent, Event
from signalbox_controller.state import remembered
from signalbox_controller.state.outbox import Outbox

log = logging.getLogger(__name__)


class Wills:
    """One file for each launch that is dead, or about to be. No fsync: the end of a machine is told by its snapshot."""

    def __init__(self, folder: Path, outbox: Outbox) -> None:
        """`folder` is made when it is missing."""
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._outbox = outbox

    def open(self) -> None:
        """Tell what a former controller did not live to tell."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                events = msgspec.json.decode(path.read_bytes(), type=list[AnyEvent])
            except (OSError, msgspec.DecodeError) as error:
                log.error("%s is damaged (%s): what it said of a dead worker is lost", path, error)  # noqa: TRY400
                path.unlink(missing_ok=True)
                continue
            log.info("%d events of a worker that is dead were not told; they are now", len(events))
            self._outbox.put(*events, published=partial(_remove, path))

    def note(self, instance: str, waiting: Sequence[Event]) -> None:
        """This launch is about to be killed, while its last events wait for Redis."""
        if waiting:
            _write(self._path(instance), waiting)

    def leave(self, instance: str, waiting: Sequence[Event], last: Sequence[Event]) -> None:
        """This launch is dead: tell the `last` events after those that wait for Redis already."""
        path = self._path(instance)
        if waiting or last:
            _write(path, [*waiting, *last])
        self._outbox.put(*last, published=partial(_remove, path))

    def _path(self, instance: str) -> Path:
        return self._folder / f"{instance}.json"


def _write(path: Path, events: Sequence[Event]) -> None:
    remembered.write(path, events, "the last events of a worker that has died")


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
