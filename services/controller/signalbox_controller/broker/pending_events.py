"""Pending events of dead workers, on disk until Redis has them: the next controller publishes what is left."""

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


class PendingEvents:
    """One file for each launch that is dead, or about to be killed. No fsync: a dead machine shows in its heartbeat."""

    def __init__(self, folder: Path, outbox: Outbox) -> None:
        """`folder` is made when it is missing."""
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._outbox = outbox

    def open(self) -> None:
        """Publish the events that a former controller could not publish."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                events = msgspec.json.decode(path.read_bytes(), type=list[AnyEvent])
            except (OSError, msgspec.DecodeError) as error:
                log.error("%s is damaged (%s): its events of a dead worker are lost", path, error)  # noqa: TRY400
                path.unlink(missing_ok=True)
                continue
            log.info(
                "%d events of a dead worker were not published by the former controller: published now", len(events)
            )
            self._outbox.put(*events, kept=partial(_remove, path))

    def keep(self, instance: str, waiting: Sequence[Event]) -> None:
        """Write the events of a launch that wait for Redis, before the launch is killed."""
        if waiting:
            _write(self._path(instance), waiting)

    def publish(self, instance: str, waiting: Sequence[Event], last: Sequence[Event]) -> None:
        """Publish the `last` events of a dead launch, after those that wait for Redis already."""
        path = self._path(instance)
        if waiting or last:
            _write(path, [*waiting, *last])
        self._outbox.put(*last, kept=partial(_remove, path))

    def _path(self, instance: str) -> Path:
        return self._folder / f"{instance}.json"


def _write(path: Path, events: Sequence[Event]) -> None:
    remembered.write(path, events, "the last events of a worker that has died")


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
