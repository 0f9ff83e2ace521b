"""Redelivery of the messages that a dead worker held: they are given back to its broker at once.

An AMQP broker does so by itself. Redis does not know which worker holds which message; see
`signalbox_agent.broker.ownership`. A program in the environment of the dead worker does the work. Each restore is on
disk before it is tried: a restarted controller completes it.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from signalbox.service import Backoff
from signalbox_controller.broker.program import Programs
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.launch.launcher import Launcher
from signalbox_controller.linux.reaper import Reaper
from signalbox_controller.state.remembered import RememberedTable

log = logging.getLogger(__name__)

PROGRAM = "signalbox_agent.broker.restore"
#: Tries, with pauses of up to `LONGEST` seconds; after that only the broker's visibility time-out redelivers.
TRIES = 20
LONGEST = 60.0
#: Seconds that one try may take; more than the helper's own time-out.
DEADLINE = 70.0


class PendingRestore(msgspec.Struct, kw_only=True):
    """The messages of one launch of a worker that have to be given back."""

    #: The name of the process.
    process: str
    #: What it was launched from: its application, with the variables that name its broker.
    spec: ProcessSpec | None = None
    #: Tasks that were stopped, and must not run again.
    forget: tuple[str, ...] = ()
    #: Tasks that ran when it died by itself.
    crashed: tuple[str, ...] = ()
    #: Tasks that had ended there, with their count of retries: each has a message that must not be delivered again.
    finished: tuple[tuple[str, int], ...] = ()
    tries: int = 0
    #: The queues that it consumed; those that it was launched with where it has not reported any.
    queues: tuple[str, ...] = ()


class PendingRestores(RememberedTable[PendingRestore]):
    """Restores by the instance of the worker."""

    shape = dict[str, PendingRestore]
    meaning = "which workers died and held messages"
    private = True


class Redelivery:
    """Pending restores by instance, until each is done or given up."""

    def __init__(self, path: Path, specs: Iterable[ProcessSpec], launcher: Launcher, reaper: Reaper) -> None:
        """`path` is the file of the pending restores; `specs` are for those that an older release noted.

        Raises:
            StateUnreadable: that file is damaged.
        """
        self._specs = {spec.name: spec for spec in specs}
        self._programs = Programs(launcher, reaper, outlive_us=True)
        self._pending = PendingRestores(path)
        self._due = asyncio.Event()
        if self._pending.value:
            self._due.set()

    def schedule(self, instance: str, restore: PendingRestore) -> None:
        """Restore the messages of a launch that is dead, and has not given them back itself."""
        spec = self._spec(restore)
        if spec is not None and spec.kind == "worker" and spec.app:
            self._pending.note(instance, restore)
            self._due.set()

    def _spec(self, restore: PendingRestore) -> ProcessSpec | None:
        return restore.spec or self._specs.get(restore.process)

    async def run(self) -> None:
        """Carry out pending restores, until cancelled."""
        backoff = Backoff(first=0.5, most=LONGEST)
        while True:
            await self._due.wait()
            restores = dict(self._pending.value)
            done = [await self._restore(spec, group) for spec, group in self._grouped(restores)]
            if all(done):
                backoff.reset()
            else:
                await backoff.pause()
            if not self._pending.value:
                self._due.clear()

    def _grouped(self, restores: Mapping[str, PendingRestore]) -> list[tuple[ProcessSpec, dict[str, PendingRestore]]]:
        """Group workers that differ in their queues and size only: one helper restores for all of them."""
        groups: dict[object, tuple[ProcessSpec, dict[str, PendingRestore]]] = {}
        for instance, restore in restores.items():
            spec = self._spec(restore)
            if spec is None:  # its broker is unknown
                self._pending.forget(instance)
                continue
            key = (spec.app, spec.python, spec.directory, tuple(sorted(spec.environment.items())))
            groups.setdefault(key, (spec, {}))[1][instance] = restore
        return list(groups.values())

    def _queues(self, restores: Iterable[PendingRestore]) -> list[str]:
        """The queues that the workers consumed; none where one did not say, for all of the application's then."""
        known = [restore.queues or spec.queues for restore in restores if (spec := self._spec(restore))]
        return sorted({queue for queues in known for queue in queues}) if all(known) else []

    async def _restore(self, spec: ProcessSpec, restores: Mapping[str, PendingRestore]) -> bool:
        order = {
            "app": spec.app,
            "queues": self._queues(restores.values()),
            "debts": {
                key: {"forget": restore.forget, "crashed": restore.crashed, "finished": restore.finished}
                for key, restore in restores.items()
            },
        }
        names = ", ".join(sorted({restore.process for restore in restores.values()}))
        counts = await self._programs.run(spec, PROGRAM, order, dict[str, int], DEADLINE)
        for instance, restore in restores.items():
            restore.tries += 1
            if counts is not None or restore.tries >= TRIES:
                self._pending.value.pop(instance, None)
        self._pending.save()
        if counts is not None:
            result = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing was left"
            log.info("Messages that %s held at the broker: %s", names, result)
            if odd := counts.get("odd"):
                log.warning(
                    "%d of them cannot be given back, and stay where they are: see the log of %s", odd, spec.name
                )
        elif not any(instance in self._pending.value for instance in restores):
            log.error("Messages that %s held return after the visibility time-out of the broker only", names)
        return counts is not None
